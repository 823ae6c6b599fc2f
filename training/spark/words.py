"""The words spark is trained on: nouns with their icons and synonyms, colours, backgrounds, and pairs kept out.

A noun's first name is its own; the others are synonyms that captions use now and then, so that the words users try are
known.
All names are lower case and made of letters and spaces: every word in them becomes one token (see tokenizer.py).
"""

from dataclasses import dataclass

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (222, 40, 48),
    "orange": (252, 128, 22),
    "yellow": (253, 208, 42),
    "green": (46, 166, 70),
    "blue": (38, 108, 228),
    "purple": (136, 62, 200),
    "pink": (250, 112, 180),
}
"""Colours an object can be asked in, with the RGB (0..255) its dominant colour is moved to."""

BACKGROUNDS: dict[str, tuple[int, int, int]] = {
    "white": (255, 255, 255),
    "black": (16, 16, 20),
    "grey": (150, 152, 156),
    "red": (206, 48, 52),
    "orange": (250, 158, 76),
    "yellow": (252, 226, 120),
    "green": (84, 178, 104),
    "blue": (84, 146, 236),
    "purple": (150, 96, 208),
    "pink": (250, 174, 208),
}
"""Backgrounds and their RGB (0..255); a caption that names none means white."""

OWN_COLOUR_ONLY: frozenset[str] = frozenset({"rainbow", "pizza"})
"""Nouns that lose what makes them recognisable when their main colour is moved."""

HELD_OUT: tuple[tuple[str, str], ...] = (
    ("blue", "apple"),
    ("purple", "cat"),
    ("green", "dog"),
    ("pink", "car"),
    ("red", "fish"),
    ("orange", "heart"),
    ("green", "star"),
    ("yellow", "house"),
    ("purple", "rocket"),
    ("blue", "balloon"),
    ("pink", "tree"),
    ("red", "umbrella"),
    ("green", "crown"),
    ("orange", "butterfly"),
    ("blue", "rose"),
    ("purple", "strawberry"),
    ("yellow", "turtle"),
    ("red", "octopus"),
    ("pink", "ghost"),
    ("green", "key"),
    ("orange", "book"),
    ("purple", "bell"),
    ("yellow", "truck"),
    ("blue", "gift"),
    ("red", "dinosaur"),
    ("pink", "shirt"),
    ("orange", "guitar"),
    ("green", "bear"),
    ("yellow", "snail"),
    ("purple", "banana"),
)
"""Colour and noun of thirty pairs that training never shows, to see whether colours are words of their own."""

BACKGROUND_SYNONYMS: dict[str, tuple[str, ...]] = {"grey": ("gray",)}

FILLERS: tuple[str, ...] = (
    "cute", "beautiful", "nice", "pretty", "little", "small", "big", "large", "tiny", "happy", "funny", "simple",
    "bright", "lovely", "single", "cartoon", "shiny", "colorful", "colourful", "cool", "old", "new", "good", "great",
)  # fmt: skip
"""Adjectives that change nothing: they are in some captions so that a prompt with them still works."""

OPENINGS: tuple[str, ...] = (
    "picture", "photo", "drawing", "icon", "image", "painting", "illustration", "emoji", "sketch",
)  # fmt: skip
ENDINGS: tuple[str, ...] = (
    "flat design", "flat style", "high quality", "minimalist", "vector art", "digital art", "highly detailed", "clean",
    "centered", "centred", "simple",
)  # fmt: skip
"""What is said before and after the object without changing it: "a picture of ...", "..., high quality"."""


@dataclass(frozen=True)
class Noun:
    """One object: the icon it is drawn with and the words for it.

    `bare_only` names are never used with a colour word ("an orange", but no "red orange").
    """

    icon: str
    names: tuple[str, ...]
    bare_only: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.names[0]


_TABLE = """
red-apple: apple
banana: banana
cherries: cherry, cherries
grapes: grapes, grape
lemon: lemon
pear: pear
strawberry: strawberry
watermelon: watermelon, melon
pineapple: pineapple
carrot: carrot
tomato: tomato
mushroom: mushroom, toadstool
pizza: pizza, slice of pizza
hamburger: hamburger, burger
birthday-cake: cake, birthday cake
cookie: cookie, biscuit
doughnut: donut, doughnut
soft-ice-cream: ice cream, ice cream cone
french-fries: fries, french fries
hot-beverage: coffee, cup of coffee, cup, tea
cat-face: cat, kitten, kitty
dog-face: dog, puppy
mouse-face: mouse
rabbit-face: rabbit, bunny
fox: fox
bear: bear
panda: panda
tiger-face: tiger
lion: lion
cow-face: cow
pig-face: pig
frog: frog
monkey-face: monkey
horse-face: horse
unicorn: unicorn
dragon-face: dragon
bird: bird
penguin: penguin
duck: duck
owl: owl
elephant: elephant
giraffe: giraffe
turtle: turtle, tortoise
snake: snake
t-rex: dinosaur, dino
spouting-whale: whale
fish: fish
shark: shark
octopus: octopus
crab: crab
snail: snail
butterfly: butterfly
honeybee: bee
spider: spider
sun: sun
crescent-moon: moon, crescent moon
star: star
cloud: cloud
rainbow: rainbow
snowflake: snowflake
fire: fire, flame
droplet: drop, water drop
high-voltage: lightning, lightning bolt
snowman: snowman
mountain: mountain
deciduous-tree: tree, oak
evergreen-tree: pine tree, pine, fir
palm-tree: palm tree, palm
cactus: cactus
blossom: flower, blossom
tulip: tulip
rose: rose
sunflower: sunflower
globe-showing-europe-africa: earth, globe, world
ringed-planet: planet, saturn
automobile: car, automobile
bus: bus
delivery-truck: truck, lorry, van
bicycle: bicycle, bike
locomotive: train, locomotive
airplane: airplane, plane, aeroplane
helicopter: helicopter
rocket: rocket, spaceship
flying-saucer: ufo, flying saucer
sailboat: boat, sailboat
house: house, home
castle: castle
red-heart: heart
balloon: balloon
umbrella: umbrella
key: key
locked: lock, padlock
bell: bell
closed-book: book
pencil: pencil
guitar: guitar
camera: camera
television: television, tv
laptop: laptop, computer
mobile-phone: phone, smartphone
light-bulb: light bulb, bulb, lamp
alarm-clock: clock, alarm clock
wrapped-gift: gift, present
trophy: trophy
crown: crown
gem-stone: diamond, gem
ring: ring
top-hat: hat, top hat
sunglasses: sunglasses
t-shirt: shirt, tshirt
dress: dress
backpack: backpack, bag
soccer-ball: ball, soccer ball, football
bomb: bomb
triangular-flag: flag
robot: robot
ghost: ghost
alien: alien
skull: skull
clown-face: clown
jack-o-lantern: pumpkin
slightly-smiling-face: smiley, smiley face, face, smile
angry-face: angry face
crying-face: sad face, crying face
tangerine: tangerine, mandarin | orange
peach: peach
cupcake: cupcake, muffin
bread: bread, loaf of bread
cheese-wedge: cheese
cooking: fried egg, egg
hot-dog: hot dog
popcorn: popcorn
lollipop: lollipop
koala: koala
chicken: chicken, hen
baby-chick: chick
parrot: parrot
flamingo: flamingo
zebra: zebra
ewe: sheep, lamb
dolphin: dolphin
lady-beetle: ladybug, ladybird
volcano: volcano
christmas-tree: christmas tree
maple-leaf: maple leaf, leaf
fire-engine: fire truck, fire engine
tractor: tractor
motorcycle: motorcycle, motorbike
ship: ship
anchor: anchor
scissors: scissors
drum: drum
musical-note: music note, note
candle: candle
glasses: glasses
running-shoe: shoe, sneaker
basketball: basketball
hammer: hammer
dagger: sword, dagger
shield: shield
chair: chair
teddy-bear: teddy bear, teddy
kite: kite
envelope: envelope, letter, mail
smiling-face-with-sunglasses: cool face
baby: baby
thumbs-up: thumbs up, thumb
kiwi-fruit: kiwi
avocado: avocado
ear-of-corn: corn, maize
broccoli: broccoli
hot-pepper: chili, pepper
eggplant: eggplant, aubergine
taco: taco
sushi: sushi
candy: candy, sweet
chocolate-bar: chocolate, chocolate bar
croissant: croissant
beer-mug: beer, mug of beer
wine-glass: wine, glass of wine
hamster: hamster
wolf: wolf
swan: swan
eagle: eagle
camel: camel
hedgehog: hedgehog
chipmunk: squirrel, chipmunk
bat: bat
lizard: lizard, gecko
crocodile: crocodile, alligator
tropical-fish: tropical fish
blowfish: pufferfish, blowfish
spiral-shell: shell, seashell
bug: caterpillar, worm
ant: ant
four-leaf-clover: clover
herb: plant, herb
water-wave: wave, ocean
taxi: taxi, cab
police-car: police car
ambulance: ambulance
racing-car: race car
motor-scooter: scooter
tent: tent
paintbrush: paintbrush, brush
violin: violin
trumpet: trumpet
hourglass-done: hourglass
tennis: tennis ball
magnet: magnet
couch-and-lamp: sofa, couch
door: door
bucket: bucket
brain: brain
eye: eye
tooth: tooth
bone: bone
"""


def _read(table: str) -> tuple[Noun, ...]:
    nouns = []
    for line in table.strip().splitlines():
        icon, _, words = line.partition(":")
        names, _, bare = words.partition("|")
        nouns.append(
            Noun(
                icon.strip(),
                tuple(name.strip() for name in names.split(",")),
                tuple(name.strip() for name in bare.split(",") if name.strip()),
            )
        )
    return tuple(nouns)


NOUNS: tuple[Noun, ...] = _read(_TABLE)
"""Every noun that is trained, in the order of its index in the sprites and latents."""
