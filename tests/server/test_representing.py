"""What a student makes of a text: laws over every kind of student, and each kind's own oracle."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification

from common.configure import find, kinds
from common.encoders.hashing import Hashing
from common.failures import ConfigError
from server.heads import Heads, build
from server.representing import represented
from server.students import Student, fingerprint
from server.students.frozen_linear import FrozenLinear
from server.students.frozen_mlp import FrozenMlp
from server.students.transformer import Transformer

TEXTS = ["a good film", "a bad film", "", "unheard of", "two words", "no film at all here"]
every_student = pytest.mark.parametrize("kind", kinds(Student))


def opened(kind: str, count: int = 6) -> tuple[nn.Module, Tensor]:
    """A student of this kind, in training, and what it reads of some texts."""
    recipe = find(Student, kind)()
    texts = [TEXTS[i % len(TEXTS)] for i in range(count)]
    inputs = torch.from_numpy(recipe.reader(Hashing(dimensions=12), TEXTS).read(texts))
    return recipe.build(inputs.shape[1], 3, np.random.default_rng(0)).train(), inputs


def layers(student: nn.Module) -> list[nn.Linear]:
    return [module for module in student.modules() if isinstance(module, nn.Linear)]


@every_student
def test_the_last_layer_of_it_is_what_the_student_says(kind: str) -> None:
    student, inputs = opened(kind)
    made, last = represented(student, inputs), layers(student)[-1]
    assert made.shape == (6, last.in_features)
    assert made.dtype == torch.float32
    assert not made.requires_grad
    said = student.eval()(inputs)
    assert torch.allclose(torch.log_softmax(last(made), dim=1), said, atol=1e-6)


@every_student
def test_a_text_is_seen_alike_alone_and_among_many(kind: str) -> None:
    """More rows than a student looks at at once."""
    student, inputs = opened(kind, 300)
    made = represented(student, inputs)
    assert torch.allclose(made[-1:], represented(student, inputs[-1:]), atol=1e-5)
    assert torch.allclose(made[:6], made[132:138], atol=1e-5)


def lesson(kind: str, looking: bool) -> tuple[str, list[Tensor]]:
    """Two steps of training, with or without a look in between; the student and its gradients."""
    student, inputs = opened(kind)
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # of dropout
        for _ in range(2):
            optimizer.zero_grad()
            loss = student(inputs)[:, 0].sum()
            if looking:
                represented(student, inputs[:4])
            loss.backward()
            if looking:
                represented(student, inputs)
            optimizer.step()
    return fingerprint(student), [p.grad for p in student.parameters() if p.grad is not None]


@every_student
def test_looking_changes_no_bit_and_no_gradient(kind: str) -> None:
    (one, slopes), (other, same) = lesson(kind, looking=False), lesson(kind, looking=True)
    assert one == other
    assert len(slopes) > 0
    assert all(map(torch.equal, slopes, same))


@every_student
@pytest.mark.parametrize("training", [True, False])
def test_the_student_is_left_as_it_was_found(kind: str, training: bool) -> None:
    student, inputs = opened(kind)
    student.train(training)
    luck, before = torch.random.get_rng_state(), fingerprint(student)
    assert torch.equal(represented(student, inputs), represented(student, inputs))
    assert student.training == training
    assert fingerprint(student) == before
    assert torch.equal(torch.random.get_rng_state(), luck)
    assert all(part.grad is None for part in student.parameters())
    assert not any(module._forward_pre_hooks for module in student.modules())


def test_of_one_linear_layer_it_is_what_is_read() -> None:
    inputs = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    student = FrozenLinear().build(4, 3, np.random.default_rng(0))
    assert torch.equal(represented(student, inputs), inputs)


def test_of_a_perceptron_it_is_the_hidden_layer_by_hand() -> None:
    # x = (1, 2): the first unit gets 1 - 2 + .5 < 0, the second 2 + 2 - 1 = 3.
    student = FrozenMlp(hidden=2, dropout=0.5).build(2, 3, np.random.default_rng(0))
    hidden = layers(student)[0]
    with torch.no_grad():
        hidden.weight.copy_(torch.tensor([[1.0, -1.0], [2.0, 1.0]]))
        hidden.bias.copy_(torch.tensor([0.5, -1.0]))
    assert represented(student.train(), torch.tensor([[1.0, 2.0]])).tolist() == [[0.0, 3.0]]


def test_of_a_transformer_it_is_the_pooled_vector_of_hugging_face(tmp_path) -> None:
    """From the published folder, by a library that knows nothing of ours."""
    recipe = Transformer(width=8, vocabulary=600, max_tokens=16, layers=1)
    reader = recipe.reader(Hashing(), TEXTS)
    student = recipe.build(16, 3, np.random.default_rng(0))
    for name, content in recipe.files(student, reader, {"labels": list("abc")}).items():
        (tmp_path / name).write_bytes(content)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    ids = torch.from_numpy(reader.read(TEXTS))
    with torch.no_grad():
        pooled = model.bert(
            input_ids=ids.long().clamp_min(0), attention_mask=(ids >= 0).long()
        ).pooler_output
    assert torch.allclose(represented(student.train(), ids), pooled, atol=1e-6)


def test_several_heads_share_one_representation() -> None:
    inputs = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    student = build(FrozenMlp(hidden=7), 4, 3, Heads(2, 3), np.random.default_rng(0))
    assert represented(student, inputs).shape == (5, 7)


class _PerToken(nn.Module):
    """Scores every token and takes the mean: there is no vector of the text."""

    def __init__(self) -> None:
        super().__init__()
        self.output = nn.Linear(2, 3)

    def forward(self, rows: Tensor) -> Tensor:
        said: Tensor = self.output(rows.unflatten(1, (-1, 2))).mean(dim=1).log_softmax(dim=1)
        return said


@pytest.mark.parametrize("student", [nn.LogSoftmax(dim=1), _PerToken()], ids=["none", "tokens"])
def test_a_student_without_such_a_vector_is_refused(student: nn.Module) -> None:
    with pytest.raises(ConfigError, match="write instance = 'none'"):
        represented(student, torch.ones(3, 4))
    assert not any(module._forward_pre_hooks for module in student.modules())
