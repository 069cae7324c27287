"""Tables of mixed columns: frames come back with their columns and dtypes; gaps, conditions, scores, the command's runs."""

import pickle
import subprocess

import numpy as np
import pandas as pd
import polars as pl
import pytest

import latent

from test_training import after_header

QUICK = {
    "epochs": 60,
    "random_state": 0,
    "progress": False,
    "network__width": 32,
    "likelihood__width": 32,
    # The average of the weights of so few steps would be that of the first.
    "train__ema": 0.0,
    "train__batch": 64,
    "train__optimizer__learning_rate": 5e-3,
}


def people(n: int = 400) -> pd.DataFrame:
    """Every kind of column, with gaps, and an income that follows age."""
    rng = np.random.default_rng(0)
    age = rng.integers(18, 80, n)
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, n), unit="D")
    return pd.DataFrame(
        {
            "age": age,
            "income": pd.Categorical(np.where(age > 45, ">50K", "<=50K"), categories=["<=50K", ">50K", "unseen"]),
            "weight": np.where(rng.uniform(size=n) < 0.1, np.nan, rng.normal(70, 9, n)),
            "small": rng.normal(size=n).astype(np.float32),
            "member": rng.uniform(size=n) < 0.3,
            "children": pd.array(np.where(rng.uniform(size=n) < 0.2, None, rng.integers(0, 4, n)), dtype="Int64"),
            # A country whose code looks like a gap.
            "country": rng.choice(["NA", "DE", "FR"], n),
            "joined": days,
            "seen": (days + pd.to_timedelta(rng.integers(0, 86400, n), unit="s")).tz_localize("Europe/Berlin", ambiguous=True),
            "always": "x",
        },
        index=np.arange(n) + 1000,
    )


@pytest.fixture(scope="module")
def fitted():
    frame = people()
    return frame, latent.TableVAE(**QUICK).fit(frame)


def test_rows_come_back_with_columns_and_dtypes(fitted):
    frame, vae = fitted
    new = vae.sample(300)
    assert list(new.columns) == list(frame.columns)
    assert [str(a) for a in new.dtypes] == [str(a) for a in frame.dtypes]
    assert set(new["country"]) == {"NA", "DE", "FR"} and set(new["always"]) == {"x"}
    assert new["age"].between(18, 79).all() and list(new["income"].cat.categories) == list(frame["income"].cat.categories)
    assert 0 < new["weight"].isna().mean() < 0.3 and 0 < new["children"].isna().mean() < 0.5
    assert new["joined"].between(frame["joined"].min(), frame["joined"].max()).all()
    assert new["seen"].dt.tz is not None
    # What belongs together stays so.
    agrees = (new["age"] > 45) == (new["income"] == ">50K")
    # Chance is a half; a model trained for minutes has nearly all.
    assert agrees.mean() > 0.65
    assert vae.sample(5).equals(vae.sample(5)) and not vae.sample(5, random_state=1).equals(vae.sample(5))


def test_polars_and_arrow(fitted):
    frame, vae = fitted
    X = pl.from_pandas(frame).with_columns(pl.col("joined").cast(pl.Date))
    own = latent.TableVAE(**{**QUICK, "epochs": 1}).fit(X)
    new = own.sample(50)
    assert isinstance(new, pl.DataFrame) and new.schema == X.schema
    full = own.impute(X)
    assert full.schema == X.schema and full["weight"].is_null().sum() == 0 and full["children"].is_null().sum() == 0
    assert full["age"].equals(X["age"])
    pyarrow = pytest.importorskip("pyarrow")
    assert len(latent.TableVAE(**{**QUICK, "epochs": 1}).fit(pyarrow.table(X.to_arrow())).sample(3)) == 3
    # A model of one library's frame takes another's.
    assert np.allclose(vae.transform(pl.from_pandas(frame)), vae.transform(frame))


def test_a_fit_of_its_own_wants_no_column_of_the_fit_before():
    vae = latent.TableVAE(**{**QUICK, "epochs": 1}).fit(people(100)[["age", "income"]])
    assert list(vae.fit(people(100)[["age"]]).sample(3).columns) == ["age"]


def test_gaps_are_filled_and_nothing_else_moves(fitted):
    frame, vae = fitted
    full = vae.impute(frame)
    assert full.index.equals(frame.index) and list(full.dtypes) == list(frame.dtypes)
    assert not full.isna().any().any()
    for name in frame:
        there = frame[name].notna()
        assert full.loc[there, name].equals(frame.loc[there, name]), name
    assert full["weight"][frame["weight"].isna()].between(30, 110).all()
    assert not vae.impute(frame, random_state=9).equals(full)


def test_conditions(fitted):
    _, vae = fitted
    old = vae.sample(60, conditions={"age": (60, 70), "country": ["NA", "FR"]})
    assert old["age"].between(60, 70).all() and set(old["country"]) <= {"NA", "FR"}
    new = vae.sample(40, conditions={"joined": ("2021-01-01", None)})
    assert (new["joined"] >= pd.Timestamp("2021-01-01")).all()
    assert (vae.sample(40, conditions={"member": True})["member"]).all()
    assert (vae.sample(40, conditions="income != <=50K")["income"] == ">50K").all()
    with pytest.raises(ValueError, match="did you mean.*income"):
        vae.sample(4, conditions={"incom": ">50K"})
    with pytest.raises(ValueError, match="range"):
        vae.sample(4, conditions={"age": (1, 2, 3)})


def test_scores_find_what_does_not_belong(fitted):
    frame, vae = fitted
    scores = vae.score_samples(frame)
    assert scores.shape == (400,) and np.isfinite(scores).all()
    assert np.allclose(vae.score_samples(frame.iloc[5:9]), scores[5:9], rtol=1e-4)
    odd = frame.head(50).assign(income=lambda f: f["income"].map({">50K": "<=50K", "<=50K": ">50K"}).astype(frame["income"].dtype))
    assert vae.score(odd) < vae.score(frame.head(50)) - 0.5


def test_pickles_and_run_folders(fitted, command, tmp_path):
    frame, vae = fitted
    assert pickle.loads(pickle.dumps(vae)).sample(20).equals(vae.sample(20))
    vae.save(tmp_path / "run")
    subprocess.run([command, "sample", "run", "--count", "20", "--out", "rows.csv"], cwd=tmp_path, check=True, capture_output=True)
    assert list(pd.read_csv(tmp_path / "rows.csv").columns) == list(frame.columns)
    again = latent.load(tmp_path / "run")
    assert isinstance(again, latent.TableVAE)
    new = again.sample(10)
    assert list(new.columns) == list(frame.columns) and new["age"].dtype == np.int64
    assert np.isfinite(again.score_samples(frame)).all()


def test_a_csv_file_trains_the_same(command, tmp_path):
    """The command on a file, the file from here, and the frame: the same weights, bit for bit, and so the same rows."""
    frame = people()[["age", "income", "country"]].astype({"income": str})
    frame["country"] = frame["country"].replace("NA", "IT")
    frame.to_csv(tmp_path / "people.csv", index=False)
    quick = {**QUICK, "epochs": 2, "data__test": 0.0, "data__validation": 0.1}
    by_path = latent.TableVAE(**quick).fit(tmp_path / "people.csv")
    by_frame = latent.TableVAE(**quick).fit(frame)
    keys = {name.replace("__", "."): value for name, value in quick.items() if "__" in name}
    words = "train --data people.csv --out run --preset table --epochs 2 --seed 0 --no-report".split()
    words += [word for key, value in keys.items() for word in ("--set", f"{key}={value}")]
    subprocess.run([command, *words], cwd=tmp_path, check=True, capture_output=True)
    theirs = latent.load(tmp_path / "run")
    weights = [after_header(vae.model_.to_bytes()) for vae in (theirs, by_path, by_frame)]
    assert weights[0] == weights[1] and weights[0] == weights[2]
    assert by_frame.sample(30).equals(theirs.sample(30).astype(by_frame.sample(1).dtypes))
    assert set(by_path.sample(30)["country"]) <= {"IT", "DE", "FR"}


ODD = ["a|b", "a", "b", " c", "x, y", 'say "x"', "1..2"]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_conditions_are_values_whatever_letters_they_hold(library):
    """A word with a bar, a blank, a quote, a comma or two dots is itself, and so is a name."""
    rng = np.random.default_rng(1)
    words = rng.choice(ODD, 420)
    data = {"kind, of = it": words, "twin|": words, "size": rng.normal(size=420)}
    frame = pd.DataFrame(data) if library == "pandas" else pl.DataFrame(data)
    vae = latent.TableVAE(**{**QUICK, "epochs": 3}).fit(frame)
    for word in ODD:
        assert set(vae.sample(40, conditions={"kind, of = it": word})["kind, of = it"]) == {word}
    assert set(vae.sample(60, conditions={"twin|": ["a|b", " c"]})["twin|"]) <= {"a|b", " c"}
    with pytest.raises(ValueError, match="did you mean"):
        vae.sample(3, conditions={"kind, of = it": "x,y"})
    with pytest.raises(ValueError, match="at least one"):
        vae.sample(3, conditions={"twin|": []})


def test_gaps_may_be_asked_for(fitted):
    _, vae = fitted
    for none in (None, float("nan"), pd.NA, pd.NaT):
        assert vae.sample(20, conditions={"weight": none})["weight"].isna().all()
    some = vae.sample(60, conditions={"children": [None, 2]})["children"]
    assert some.isna().any() and set(some.dropna()) <= {2}
    with pytest.raises(ValueError, match="age"):
        vae.sample(3, conditions={"age": None})
    assert (vae.sample(20, conditions={"age": (60, float("inf"))})["age"] >= 60).all()


def test_times_without_a_zone_are_of_the_columns():
    berlin = pd.date_range("2020-01-01 00:00", periods=400, freq="h").tz_localize("Europe/Berlin", ambiguous="NaT", nonexistent="NaT")
    frame = pd.DataFrame({"seen": berlin, "size": np.random.default_rng(0).normal(size=400)})
    vae = latent.TableVAE(**{**QUICK, "epochs": 2}).fit(frame)
    for X, given in ((frame, vae), (None, None)):
        if X is None:
            X = pl.from_pandas(frame)
            given = latent.TableVAE(**{**QUICK, "epochs": 2}).fit(X)
        # Midnight in Berlin is 23:00 in Greenwich.
        for start, end in (("2020-01-10", "2020-01-10T05:00"), (pd.Timestamp("2020-01-10"), pd.Timestamp("2020-01-10 05:00"))):
            new = given.sample(30, conditions={"seen": (start, end)})["seen"]
            hours = pd.Series(new.to_list()).dt.tz_convert("Europe/Berlin")
            assert hours.between(pd.Timestamp("2020-01-10", tz="Europe/Berlin"), pd.Timestamp("2020-01-10 05:00", tz="Europe/Berlin")).all()
    with pytest.raises(ValueError, match="'seen'"):
        vae.sample(3, conditions={"seen": "yesterday"})
    with pytest.raises(ValueError, match="'seen'"):
        vae.sample(3, conditions={"seen": 5})


def test_short_floats_have_short_words():
    from latent import _frames

    values = np.array([0.1, 1 / 3, 2.0], np.float32)
    frames = [pd.DataFrame({"x": values}), pl.DataFrame({"x": values}), pd.DataFrame({"x": pd.array(values, dtype="Float32")})]
    for frame in frames:
        assert _frames.words_of(frame, _frames.schema_of(frame))[0][1] == ["0.1", "0.33333334", "2"]


def test_names_that_are_numbers_come_back_as_numbers(circle):
    frame = pd.DataFrame({0: circle[:, 0], 7: np.where(circle[:, 1] > 0, "up", "down")})
    vae = latent.TableVAE(**{**QUICK, "epochs": 1}).fit(frame)
    assert list(vae.sample(5).columns) == [0, 7] and set(vae.sample(9, conditions={7: "up"})[7]) == {"up"}
    holes = frame.mask(np.random.default_rng(0).uniform(size=frame.shape) < 0.1)
    assert list(vae.impute(holes).columns) == [0, 7]
    plain = latent.VAE(epochs=1, random_state=0, progress=False).fit(pd.DataFrame(circle))
    assert list(plain.sample(3).columns) == [0, 1, 2]


def test_a_category_that_the_given_frame_has_no_place_for(fitted):
    frame, vae = fitted
    holes = frame.head(60).copy()
    holes["income"] = pd.Categorical([None] * 60, categories=["<=50K"])
    with pytest.raises(ValueError, match="'income'.*'>50K'.*categories that the model was fitted on"):
        vae.impute(holes)
    with pytest.raises(ValueError, match="missing:\n- income"):
        vae.impute(frame.drop(columns="income"))


def test_as_many_rows_of_each_value(fitted, command, tmp_path):
    _, vae = fitted
    even = vae.sample(90, balance="country", conditions={"member": False}, random_state=2)
    assert set(even["country"].value_counts()) == {30} and not even["member"].any()
    with pytest.raises(ValueError, match="out of one of both"):
        vae.sample(9, balance="country", conditions={"country": "DE"})
    with pytest.raises(ValueError, match="leave out temperature"):
        vae.sample(9, conditions={"country": "DE"}, temperature=0.5)
    vae.save(tmp_path / "run")
    words = ["sample", "run", "--count", "90", "--seed", "2", "--balance", "country", "--where", "member = false", "--out", "rows.csv"]
    subprocess.run([command, *words], cwd=tmp_path, check=True, capture_output=True)
    theirs = pd.read_csv(tmp_path / "rows.csv", keep_default_na=False)
    assert list(theirs["country"]) == list(even["country"]) and list(theirs["age"]) == list(even["age"])


def test_a_sampler_of_a_table(fitted, command, tmp_path):
    frame, _ = fitted
    vae = latent.TableVAE(**{**QUICK, "epochs": 3}).fit(frame).fit_sampler(frame, sampler="gaussian-mixture", settings={"components": 3})
    old = vae.sample(40, conditions={"age": (60, 70)}, sampler="gaussian-mixture", random_state=1)
    assert old["age"].between(60, 70).all()
    vae.save(tmp_path / "run")
    words = "sample run --count 40 --seed 1 --sampler gaussian-mixture --out rows.csv --where".split()
    subprocess.run([command, *words, "age = 60..70"], cwd=tmp_path, check=True, capture_output=True)
    assert list(pd.read_csv(tmp_path / "rows.csv")["age"]) == list(old["age"])
    with pytest.raises(ValueError, match="not the rows"):
        vae.fit_sampler(frame.head(200), sampler="normal")


def test_a_synthetic_table_is_judged(fitted, command, tmp_path):
    frame, _ = fitted
    plain = frame[["age", "income", "weight", "country"]].replace({"country": {"NA": "IT"}})
    real, other = plain.iloc[:200], plain.iloc[200:]
    shuffled = pd.DataFrame({name: other[name].sample(frac=1, random_state=0).to_numpy() for name in other})
    same, broken = (latent.judge(real, rows, baselines=False) for rows in (other, shuffled.astype(real.dtypes)))
    assert same.report["columns"] and {"tone", "headline", "evidence"} <= same.findings[0].keys()
    assert broken.figures != same.figures and same._repr_html_().startswith("<iframe") and repr(same) == same.text
    real.to_csv(tmp_path / "real.csv", index=False)
    other.to_csv(tmp_path / "other.csv", index=False)
    by_file = latent.judge(tmp_path / "real.csv", tmp_path / "other.csv", baselines=False)
    words = "judge real.csv other.csv --no-baselines".split()
    said = subprocess.run([command, *words], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert said.strip() == by_file.text.strip()
    assert by_file.figures == pytest.approx(same.figures, abs=1e-9, nan_ok=True)
    assert latent.judge(pl.from_pandas(real), pl.from_pandas(other), baselines=False).figures == pytest.approx(same.figures, nan_ok=True)
    with pytest.raises(ValueError, match="give test"):
        latent.judge(real, other, target="income")
    with pytest.raises(ValueError, match="one or the other"):
        latent.judge(real, tmp_path / "other.csv")


def test_what_has_no_place_is_refused_by_name():
    frame = people(40)
    with pytest.raises(ValueError, match="'pair'.*tuple"):
        latent.TableVAE(**QUICK).fit(frame.assign(pair=[(1, 2)] * 40))
    with pytest.raises(ValueError, match="'far'.*infinity"):
        latent.TableVAE(**QUICK).fit(frame.assign(far=np.inf))
    with pytest.raises(ValueError, match="free text.*drop"):
        latent.TableVAE(**QUICK).fit(frame.assign(story=[f"{i * 7919 % 1000} and so on {'x' * (i % 9)} {i}" for i in range(40)]))
    vae = latent.TableVAE(**{**QUICK, "epochs": 1}).fit(people(100)[["age", "income"]])
    with pytest.raises(ValueError, match="income|feature names"):
        vae.transform(people(10)[["age"]])
