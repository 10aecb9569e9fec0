import pytest

from nnexp.compose import compose, plain, read_config
from nnexp.config import ConfigError, check
from nnexp.runs.identity import config_hash


def config_of(*overrides):
    return read_config(compose(overrides))


def test_the_default_config_is_the_exercises_setting():
    config = config_of()
    assert (
        config.of_task.data.name,
        config.of_task.model.hidden_size,
        config.of_task.model.l2,
        config.of_task.optimizer.method,
    ) == (
        "ex4",
        25,
        1.0,
        "TNC",
    )
    assert (config.of_task.optimizer.maxiter, config.of_task.optimizer.maxfun) == (400, 400)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("model.hidden_size=0", ("`model.hidden_size`", ">= 1", "0")),
        ("model.hidden_size=abc", ("`model.hidden_size`", "'abc'")),
        ("model.hidden_size=[25,0]", ("`model.hidden_size`", "[25, 0]")),
        ("model.hidden_size=true", ("`model.hidden_size`", "True")),
        ("model.l2=-1", ("`model.l2`", "in [0, 1e12]", "-1")),
        ("model.l2=.inf", ("`model.l2`", "inf")),
        ("model.activation=step", ("`model.activation`", "sigmoid, tanh, relu", "'step'")),
        ("model.init_scale=0", ("`model.init_scale`", "glorot", "0")),
        ("optimizer.method=NOPE", ("`optimizer.method`", "TNC", "'NOPE'")),
        ("optimizer.maxfun=0", ("`optimizer.maxfun`", ">= 1", "0")),
        ("optimizer.maxiter=1.5", ("`optimizer.maxiter`", "1.5")),
        ("optimizer.options={maxitr:3}", ("`optimizer.options`", "maxitr")),
        ("optimizer.options.ftol=abc", ("optimizer.options", "ftol", "abc")),
        ("data.test_size=1.5", ("`data.test_size`", "[0, 1)", "1.5")),
        ("data.nonsense=1", ("data.nonsense",)),
        ("seed=-1", ("`seed`", ">= 0", "-1")),
        ("training.dtype=float16", ("`training.dtype`", "float64, float32", "float16")),
        ("training.threads=0", ("`training.threads`", ">= 1", "0")),
        ("figures.format=bmp", ("`figures.format`", "png, svg, pdf", "bmp")),
        ("figures.of=some", ("`figures.of`", "all, best, none, or null", "some")),
        ("resume=maybe", ("`resume`", "true or false", "maybe")),
        ("+model.foo=1", ("`model.foo`", "hidden_size, l2")),
        ("modle.l2=1", ("modle.l2=1", "`model.l2`")),
        ("model.hidden=3", ("model.hidden=3", "model.hidden_size", "model.l2")),
        ("data=nope", ("`data`", "ex4", "'nope'")),
        ("data=mat", ("`data.path`",)),
    ],
)
def test_a_wrong_value_is_told_in_two_lines_that_name_key_value_and_choices(override, named):
    with pytest.raises(ConfigError) as caught:
        config_of(override)
    message = str(caught.value)
    assert len(message.splitlines()) <= 2
    for text in named:
        assert text in message


def test_equal_settings_written_differently_are_one_config():
    hashes = {
        config_hash(config_of(*o).deciding()) for o in ([], ["model.l2=1"], ["model.l2=1.0", "model.hidden_size=[25]"])
    }
    assert len(hashes) == 1


@pytest.mark.parametrize(
    "override",
    ["model.l2=2", "seed=1", "training.threads=2", "data.test_size=0.1", "+optimizer.options.ftol=0.1", "optimizer=cg"],
)
def test_what_decides_the_result_is_part_of_the_identity(override):
    assert config_hash(config_of(override).deciding()) != config_hash(config_of().deciding())


@pytest.mark.parametrize(
    "override",
    [
        "tracking.experiment=other",
        "tracking=none",
        "resume=false",
        "figures.format=svg",
        "data.cache=null",
        "training.images_every=5",
    ],
)
def test_bookkeeping_is_not_part_of_the_identity(override):
    assert config_of(override).deciding() == config_of().deciding()


def test_every_deciding_leaf_has_the_value_of_the_composed_config():
    tree = plain(compose([]))
    for key, value in check(tree).deciding().items():
        node = tree
        for part in key.split("."):
            node = node[part]
        assert node == value


def test_hidden_layers_and_formats_may_be_lists():
    config = config_of("model.hidden_size=[40,20]", "figures.format=[svg,pdf]")
    assert config.of_task.model.hidden_sizes == [40, 20]
    assert config.figures == ("svg", "pdf")
    assert config_of("figures.format='svg,pdf'").figures == ("svg", "pdf")
