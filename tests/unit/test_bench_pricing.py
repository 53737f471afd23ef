"""The bench of pricing prices what it says, whatever becomes of books and allowances; how fast is not a test's to judge."""

from libs.bench.pricing import PricingBench


def test_the_bench_of_pricing_tells_each_figure_and_its_runs() -> None:
    said: list[str] = []
    figures = PricingBench(usages=500, runs=1).measure(said.append)
    runs = figures.pop("runs")
    assert isinstance(runs, dict)
    assert figures.keys() == runs.keys() == {"standard_usages_per_s", "thousand_offerings_usages_per_s", "combined_usages_per_s"}
    assert all(len(of) == 1 and of[0] > 0 for of in runs.values())
    assert len(said) == 3
