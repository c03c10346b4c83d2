def test_a_disturbed_round_does_not_show():
    from growth import medians

    rounds = [
        {"wall": 2.0, "trials": 8.0},
        {"wall": 60.0, "trials": 9.0},
        {"wall": 3.0, "trials": 7.0},
    ]
    assert medians(rounds) == {"wall": 3.0, "trials": 8.0}


def test_a_page_says_how_many_rounds_there_were_and_gives_medians():
    from growth import cases, report

    (base,) = cases(12)["as it is"]
    seen = [{"wall": wall, "trials": 12.0, "peak_memory": 2**20} for wall in (10.0, 99.0, 12.0)]
    versions = {"torch": "2", "timm": "1"}
    page = report({"epochs": 2, "versions": versions, "runs": [["as it is", vars(base), seen]]})
    assert "medians of 3 rounds" in page
    assert "| as it is | 12 | all | as each says |" in page
    assert "| 12.0 | 1.000 | 60 | 1 |" in page
