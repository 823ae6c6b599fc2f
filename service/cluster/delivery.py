"""One job in the hands of a worker, until it is done with or handed back."""

from typing import Final

from nats.aio.msg import Msg

from service.cluster.connection import Connection, asking
from service.cluster.names import Row, WorkClass
from service.cluster.work_rows import WorkRows

ANSWER_S: Final = 2.0
_DONE: Final = b"+ACK"
_BEAT: Final = b"+WPI"
_BACK: Final = b"-NAK"


class Delivery:
    """A job this worker was given. It goes to another one `worker_lost_s` after the last `beat`, unless it is `done`.

    Whatever is told, NATS has confirmed it when the call returns; otherwise `Unavailable` is raised and it may have
    been heard or not. To tell it again does no harm, to tell it of a job that has gone to another worker neither.

    Attributes:
        deliveries: how many times the job was given to a worker, this time included.
        more_pending: how many jobs no worker had been given yet stood in the row behind it.
    """

    def __init__(self, connection: Connection, rows: WorkRows, message: Msg) -> None:
        *_, work_class, share, model, self.job_id = message.subject.split(".")
        self.row = Row(WorkClass(work_class), int(share), model)
        self.deliveries: int = message.metadata.num_delivered
        self.more_pending: int = message.metadata.num_pending
        self._connection = connection
        self._rows = rows
        self._reply = message.reply

    async def beat(self) -> None:
        """Say that it is still being worked on."""
        await self._tell(_BEAT)

    async def done(self) -> None:
        """Say that it need not be given to anybody again: its end is stored, or it has none to come."""
        await self._tell(_DONE)

    async def hand_back(self, delay_s: float = 0.0) -> None:
        """Let another worker have it, at once or not before `delay_s`."""
        if delay_s > 0:
            await self._tell(_BACK + b' {"delay": %d}' % int(delay_s * 1e9))
        else:
            await self._tell(_BACK)
            await self._rows.wake(self.row)

    async def _tell(self, what: bytes) -> None:
        with asking("telling of work"):
            await self._connection.nats.request(self._reply, what, timeout=ANSWER_S)
