"""What one client has and was told: its texts and teachers as a teacher reads them."""

from clients.config import configured
from clients.public import features_of
from clients.refining import newest_teacher
from clients.store import Store
from clients.teachers import FittedTeacher, Inputs, Teacher
from clients.vetting import vetted
from common.arrays import Ints
from common.reasons import Reason, Refused


class Own:
    """A client's store, and how its configuration wants it to be read.

    Attributes:
        store: the client's folder.
        terms: what it agreed to.
        id: its own.
        seed: its own.
        config: what it was told.
        recipe: of its teacher.
        public: the folder that all parties share.
    """

    def __init__(self, store: Store) -> None:
        self.store, self.terms = store, store.terms()
        about = store.about()
        self.id, self.seed, self.public = int(about["client"]), int(about["seed"]), about["public"]
        self.config = configured(about["config"])
        self.recipe: Teacher = self.config.of(self.id)

    def private(self) -> tuple[Inputs, Ints]:
        """The client's own M texts, or their features, as its teacher reads; and labels (M,).

        Raises:
            Refused: there are no features.
        """
        texts, labels = self.store.shard()
        inputs: Inputs = texts if self.recipe.reads == "texts" else self.store.features()
        if inputs is None:
            raise Refused(Reason.refused)
        return inputs, labels

    def all_seen(self) -> Inputs:
        """The shared texts, or their features, as the teacher reads."""
        return self.seen(vetted(self.store, self.config.vetting).texts)

    def seen(self, texts: tuple[str, ...]) -> Inputs:
        """Public texts, or their features, as the teacher reads."""
        of_texts = self.recipe.reads == "texts"
        return texts if of_texts else features_of(self.config.encoder, texts)

    def teacher(self, server_round: int) -> FittedTeacher:
        """The newest teacher of a round or before.

        Raises:
            Refused: there is none.
        """
        tensors = newest_teacher(self.store, server_round)
        return self.recipe.restore(tensors, len(self.terms.labels))
