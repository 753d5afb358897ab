from common.messages import Answer
from common.wire import PREDICT, pack_answers, unpack_answers
from tests.tampering import clients_of, replaced
from tests.worlds import hashes, tallies


def test_who_does_not_answer_is_asked_once_more(run, inline):
    """Whatever went wrong the first time; on one node for all, the others are not."""
    seen = []

    def stumble(message, reply):
        if message.metadata.message_type != PREDICT or seen:
            return reply
        seen.append(message)
        answers = unpack_answers(reply.content, 1)
        kept = [Answer(c, answers[str(c)]) for c in (0, 1, 3)]
        return replaced(message, reply, pack_answers(kept, 1))

    folder, grid = run(1, tamper=stumble)
    assert hashes(folder) == hashes(inline())
    assert [clients_of(m) for m in grid.sent][-2:] == [[0, 1, 2, 3], [2]]
    assert tallies(folder) == dict.fromkeys(range(4), ("answered", "accepted"))
