"""Tables of mixed columns: frames come back with their columns and dtypes; gaps, conditions, scores, the command's runs."""

import pickle
import subprocess

import numpy as np
import pandas as pd
import polars as pl
import pytest

import latent

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
    frame = people()[["age", "income", "country"]].astype({"income": str})
    frame["country"] = frame["country"].replace("NA", "IT")
    frame.to_csv(tmp_path / "people.csv", index=False)
    vae = latent.TableVAE(**{**QUICK, "epochs": 1}).fit(tmp_path / "people.csv")
    assert set(vae.sample(30)["country"]) <= {"IT", "DE", "FR"}


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
