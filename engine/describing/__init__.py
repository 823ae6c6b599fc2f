"""What can honestly be said of a picture: classes, faces and colours. (Writing is read by `engine.text`.)"""
