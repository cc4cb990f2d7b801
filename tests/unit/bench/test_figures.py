from itertools import islice

import chat
import pytest
from load import Answer, Load, Measured

STREAM = Load(2, 3, stream=True)


def result(*ratios):
    """Return rounds in which tokens/s of the peer is 100."""
    rounds = [{"product": {chat.TOKENS: 100 * r}, "peer": {chat.TOKENS: 100.0}} for r in ratios]
    return chat.Result(rounds)


def test_figures_are_per_request_and_per_token():
    answers = [Answer(0.2, 0.1, [0.05, 0.05]), Answer(0.4, 0.3, [0.0, 0.1])]
    found = chat.figures(Measured(answers, seconds=0.5), STREAM, cpu=0.006)
    assert found[chat.REQUESTS] == 4
    assert found[chat.TOKENS] == 12
    assert found[chat.CPU_REQUEST] == pytest.approx(3000)
    assert found[chat.CPU_TOKEN] == pytest.approx(1000)
    assert found[chat.LATENCY_99] == pytest.approx(400)
    assert found[chat.FIRST] == pytest.approx(100)
    assert found[chat.GAP_99] == pytest.approx(100)
    assert found["texts per token"] == 1


@pytest.mark.parametrize(("percent", "expected"), [(1, 1), (50, 50), (99, 99), (100, 100)])
def test_a_percentile_is_a_value_that_was_measured(percent, expected):
    assert chat.percentile(range(1, 101), percent) == expected


def test_a_figure_is_the_median_of_the_rounds():
    assert result(0.5, 0.9, 1.3).ratio(chat.TOKENS) == pytest.approx(0.9)
    assert result(0.5, 0.9, 1.3).spread(chat.TOKENS) == pytest.approx((0.5, 1.3))


def test_more_is_better_for_throughput_and_less_for_everything_else():
    assert chat.is_met(result(0.95), chat.TOKENS, 0.9)
    assert not chat.is_met(result(0.85), chat.TOKENS, 0.9)
    cost = chat.Result([{"product": {chat.CPU_TOKEN: 2.0}, "peer": {chat.CPU_TOKEN: 1.0}}])
    assert not chat.is_met(cost, chat.CPU_TOKEN, 1.5)


def test_a_case_with_an_error_meets_nothing_and_says_why():
    failed = chat.Result(error="LoadError: answer 500")
    assert not chat.is_met(failed, chat.TOKENS, 0.9)
    lines = list(chat.table({"chat, 1 client": failed}))
    assert any("answer 500" in line and line.endswith("| no |") for line in lines)


def test_prompts_are_new_each_time_and_equal_for_both_servers():
    case = chat.CASES["chat, 1 client"]
    first, again, other = (list(islice(case.prompts(seed), 50)) for seed in (1, 1, 2))
    assert first == again != other
    assert len(set(first)) == 50
    assert all(len(prompt.split()) == 20 for prompt in first)


def test_the_same_prompt_stays_the_same_over_all_rounds():
    case = chat.CASES["one token, 1 client"]
    assert len({*islice(case.prompts(1), 5), *islice(case.prompts(2), 5)}) == 1
