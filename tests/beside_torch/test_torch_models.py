"""The networks agree with the same ones in torch, built here under torchvision's names.

That a state dict loads without a name too few or too many shows that the names are the same. Files
that torch writes are read as torch reads them.
"""

import numpy as np
import pytest

from conftest import SKIPS
from fastconv import models
from fastconv.graph import Sequential, layers

torch = pytest.importorskip("torch", reason=SKIPS["no peers"])
nn = torch.nn

TOLERANCE = 1e-4  # of the largest logit


# -- the networks ----------------------------------------------------------------------------------


class Named(nn.Module):
    """Modules by their names, and what they compute."""

    def __init__(self, forward, **modules):
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)
        self.compute = forward

    def forward(self, x):
        return self.compute(self, x)


def chain(**modules):
    """Modules one after the other."""

    def forward(self, x):
        for module in self.children():
            x = module(x)
        return x

    return Named(forward, **modules)


def lenet5(activation, pool):
    return chain(
        conv1=nn.Conv2d(1, 6, 5),
        a1=activation(),
        pool1=pool(2),
        conv2=nn.Conv2d(6, 16, 5),
        a2=activation(),
        pool2=pool(2),
        conv3=nn.Conv2d(16, 120, 5),
        a3=activation(),
        flatten=nn.Flatten(),
        fc1=nn.Linear(120, 84),
        a4=activation(),
        fc2=nn.Linear(84, 10),
    )


def classifier(features, size, first, *rest):
    """Features, an average to a size, and what classifies."""
    return chain(
        features=nn.Sequential(*features),
        avgpool=nn.AdaptiveAvgPool2d(size),
        flatten=nn.Flatten(),
        classifier=nn.Sequential(first, *rest),
    )


def alexnet():
    features = [nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2)]
    features += [nn.Conv2d(64, 192, 5, 1, 2), nn.ReLU(), nn.MaxPool2d(3, 2)]
    for c, k in ((192, 384), (384, 256), (256, 256)):
        features += [nn.Conv2d(c, k, 3, 1, 1), nn.ReLU()]
    dense = [nn.Dropout(), nn.Linear(9216, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096)]
    return classifier([*features, nn.MaxPool2d(3, 2)], 6, *dense, nn.ReLU(), nn.Linear(4096, 1000))


def alexnet_paper():
    def norm():
        return nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2)

    return chain(
        conv1=nn.Conv2d(3, 96, 11, 4),
        relu1=nn.ReLU(),
        norm1=norm(),
        pool1=nn.MaxPool2d(3, 2),
        conv2=nn.Conv2d(96, 256, 5, padding=2, groups=2),
        relu2=nn.ReLU(),
        norm2=norm(),
        pool2=nn.MaxPool2d(3, 2),
        conv3=nn.Conv2d(256, 384, 3, padding=1),
        relu3=nn.ReLU(),
        conv4=nn.Conv2d(384, 384, 3, padding=1, groups=2),
        relu4=nn.ReLU(),
        conv5=nn.Conv2d(384, 256, 3, padding=1, groups=2),
        relu5=nn.ReLU(),
        pool5=nn.MaxPool2d(3, 2),
        flatten=nn.Flatten(),
        fc6=nn.Linear(9216, 4096),
        relu6=nn.ReLU(),
        fc7=nn.Linear(4096, 4096),
        relu7=nn.ReLU(),
        fc8=nn.Linear(4096, 1000),
    )


def vgg(*convolutions):
    features, c = [], 3
    for k, count in zip((64, 128, 256, 512, 512), convolutions, strict=True):
        for _ in range(count):
            features += [nn.Conv2d(c, k, 3, padding=1), nn.ReLU()]
            c = k
        features.append(nn.MaxPool2d(2, 2))
    dense = [nn.Linear(25088, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU()]
    return classifier(features, 7, *dense, nn.Dropout(), nn.Linear(4096, 1000))


def googlenet(paper):
    def conv(c, k, size, stride=1):
        form = {"stride": stride, "padding": size // 2, "bias": paper}
        modules = {"conv": nn.Conv2d(c, k, size, **form)}
        if not paper:
            modules["bn"] = nn.BatchNorm2d(k, eps=0.001)
        return chain(**modules, relu=nn.ReLU())

    def inception(c, k1, c3, k3, c5, k5, kp):
        return Named(
            lambda self, x: torch.cat([branch(x) for branch in self.children()], 1),
            branch1=conv(c, k1, 1),
            branch2=nn.Sequential(conv(c, c3, 1), conv(c3, k3, 3)),
            branch3=nn.Sequential(conv(c, c5, 1), conv(c5, k5, 5 if paper else 3)),
            branch4=nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), conv(c, kp, 1)),
        )

    def norm():
        return nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1) if paper else nn.Identity()

    def pool(size=3):
        return nn.MaxPool2d(size, 2, ceil_mode=True)

    return chain(
        conv1=conv(3, 64, 7, 2),
        maxpool1=pool(),
        norm1=norm(),
        conv2=conv(64, 64, 1),
        conv3=conv(64, 192, 3),
        norm2=norm(),
        maxpool2=pool(),
        inception3a=inception(192, 64, 96, 128, 16, 32, 32),
        inception3b=inception(256, 128, 128, 192, 32, 96, 64),
        maxpool3=pool(),
        inception4a=inception(480, 192, 96, 208, 16, 48, 64),
        inception4b=inception(512, 160, 112, 224, 24, 64, 64),
        inception4c=inception(512, 128, 128, 256, 24, 64, 64),
        inception4d=inception(512, 112, 144, 288, 32, 64, 64),
        inception4e=inception(528, 256, 160, 320, 32, 128, 128),
        maxpool4=pool(3 if paper else 2),
        inception5a=inception(832, 256, 160, 320, 32, 128, 128),
        inception5b=inception(832, 384, 192, 384, 48, 128, 128),
        avgpool=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
        fc=nn.Linear(1024, 1000),
    )


def resnet(bottleneck, *counts):
    grows = 4 if bottleneck else 1

    def block(c, k, stride):
        modules = {}
        sizes = (
            [(c, k, 1, 1), (k, k, 3, stride), (k, 4 * k, 1, 1)]
            if bottleneck
            else [(c, k, 3, stride), (k, k, 3, 1)]
        )
        for i, (before, after, size, step) in enumerate(sizes, 1):
            modules[f"conv{i}"] = nn.Conv2d(before, after, size, step, size // 2, bias=False)
            modules[f"bn{i}"] = nn.BatchNorm2d(after)
        if stride > 1 or c != grows * k:
            fitted = nn.Conv2d(c, grows * k, 1, stride, bias=False), nn.BatchNorm2d(grows * k)
            modules["downsample"] = nn.Sequential(*fitted)

        def forward(self, x):
            y = x
            for i in range(1, len(sizes) + 1):
                y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
                y = y.relu() if i < len(sizes) else y
            return (y + (self.downsample(x) if "downsample" in modules else x)).relu()

        return Named(forward, **modules)

    stages, c = {}, 64
    for stage, count in enumerate(counts):
        blocks = []
        for i in range(count):
            blocks.append(block(c, 64 * 2**stage, 2 if stage and i == 0 else 1))
            c = grows * 64 * 2**stage
        stages[f"layer{stage + 1}"] = nn.Sequential(*blocks)
    return chain(
        conv1=nn.Conv2d(3, 64, 7, 2, 3, bias=False),
        bn1=nn.BatchNorm2d(64),
        relu=nn.ReLU(),
        maxpool=nn.MaxPool2d(3, 2, 1),
        **stages,
        avgpool=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
        fc=nn.Linear(c, 1000),
    )


def squeezenet(variant):
    def fire(c, squeezed, k):
        def forward(self, x):
            x = self.squeeze(x).relu()
            return torch.cat([self.expand1x1(x).relu(), self.expand3x3(x).relu()], 1)

        return Named(
            forward,
            squeeze=nn.Conv2d(c, squeezed, 1),
            expand1x1=nn.Conv2d(squeezed, k, 1),
            expand3x3=nn.Conv2d(squeezed, k, 3, padding=1),
        )

    def pool():
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    small = [fire(256, 48, 192), fire(384, 48, 192), fire(384, 64, 256)]
    if variant == "1.0":
        features = [nn.Conv2d(3, 96, 7, 2), nn.ReLU(), pool()]
        features += [fire(96, 16, 64), fire(128, 16, 64), fire(128, 32, 128), pool()]
        features += [fire(256, 32, 128), *small, pool(), fire(512, 64, 256)]
    else:
        features = [nn.Conv2d(3, 64, 3, 2), nn.ReLU(), pool()]
        features += [fire(64, 16, 64), fire(128, 16, 64), pool()]
        features += [fire(128, 32, 128), fire(256, 32, 128), pool(), *small, fire(512, 64, 256)]
    last = nn.Dropout(), nn.Conv2d(512, 1000, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
    return chain(
        features=nn.Sequential(*features), classifier=nn.Sequential(*last), flatten=nn.Flatten()
    )


class SamePadding(nn.Module):
    """TensorFlow's padding before a convolution: as many outputs as strides fit, odd one last."""

    def __init__(self, size, stride):
        super().__init__()
        self.size, self.stride = size, stride

    def forward(self, x):
        pads = []
        for length in (x.shape[3], x.shape[2]):
            total = max((-(-length // self.stride) - 1) * self.stride + self.size - length, 0)
            pads += [total // 2, total - total // 2]
        return nn.functional.pad(x, pads)


def efficientnet_lite0():
    def conv(c, k, size, stride=1, groups=1):
        return nn.Conv2d(c, k, size, stride, groups=groups, bias=False)

    def norm(k):
        return nn.BatchNorm2d(k, eps=1e-3)

    def block(c, k, size, stride, widening):
        wide = c * widening
        modules = {}
        if widening > 1:
            modules |= {"_expand_conv": conv(c, wide, 1), "_bn0": norm(wide), "a0": nn.ReLU6()}
        modules |= {
            "pad": SamePadding(size, stride),
            "_depthwise_conv": conv(wide, wide, size, stride, wide),
            "_bn1": norm(wide),
            "a1": nn.ReLU6(),
            "_project_conv": conv(wide, k, 1),
            "_bn2": norm(k),
        }
        inner = chain(**modules)
        inner_forward = inner.compute
        if stride == 1 and c == k:
            inner.compute = lambda self, x: inner_forward(self, x) + x
        return inner

    blocks, c = [], 32
    for count, k, size, first, widening in (
        (1, 16, 3, 1, 1),
        (2, 24, 3, 2, 6),
        (2, 40, 5, 2, 6),
        (3, 80, 3, 2, 6),
        (3, 112, 5, 1, 6),
        (4, 192, 5, 2, 6),
        (1, 320, 3, 1, 6),
    ):
        for i in range(count):
            blocks.append(block(c, k, size, first if i == 0 else 1, widening))
            c = k
    return chain(
        pad=SamePadding(3, 2),
        _conv_stem=conv(3, 32, 3, 2),
        _bn0=norm(32),
        a0=nn.ReLU6(),
        _blocks=nn.Sequential(*blocks),
        _conv_head=conv(320, 1280, 1),
        _bn1=norm(1280),
        a1=nn.ReLU6(),
        avgpool=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
        _fc=nn.Linear(1280, 1000),
    )


# -- agreement -------------------------------------------------------------------------------------


# Ours, torch's, the size of the images and the published number of parameters.
NETWORKS = {
    "lenet5": (models.lenet5, {}, lambda: lenet5(nn.Tanh, nn.MaxPool2d), 32, 61_706),
    "lenet5 with averages": (
        models.lenet5,
        {"activation": "relu", "pooling": "avg"},
        lambda: lenet5(nn.ReLU, nn.AvgPool2d),
        32,
        61_706,
    ),
    "alexnet": (models.alexnet, {}, alexnet, 224, 61_100_840),
    "alexnet of the paper": (
        models.alexnet,
        {"variant": "paper"},
        alexnet_paper,
        227,
        60_965_224,
    ),
    "vgg16": (models.vgg16, {}, lambda: vgg(2, 2, 3, 3, 3), 224, 138_357_544),
    "vgg19": (models.vgg19, {}, lambda: vgg(2, 2, 4, 4, 4), 96, 143_667_240),
    "googlenet": (models.googlenet, {}, lambda: googlenet(False), 224, 6_624_904),
    "googlenet of the paper": (
        models.googlenet,
        {"variant": "paper"},
        lambda: googlenet(True),
        224,
        6_998_552,
    ),
    "resnet18": (models.resnet18, {}, lambda: resnet(False, 2, 2, 2, 2), 224, 11_689_512),
    "resnet34": (models.resnet34, {}, lambda: resnet(False, 3, 4, 6, 3), 97, 21_797_672),
    "resnet50": (models.resnet50, {}, lambda: resnet(True, 3, 4, 6, 3), 224, 25_557_032),
    "resnet101": (models.resnet101, {}, lambda: resnet(True, 3, 4, 23, 3), 96, 44_549_160),
    "resnet152": (models.resnet152, {}, lambda: resnet(True, 3, 8, 36, 3), 96, 60_192_808),
    "squeezenet": (models.squeezenet, {}, lambda: squeezenet("1.1"), 224, 1_235_496),
    "squeezenet 1.0": (
        models.squeezenet,
        {"variant": "1.0"},
        lambda: squeezenet("1.0"),
        224,
        1_248_424,
    ),
    "efficientnet_lite0": (models.efficientnet_lite0, {}, efficientnet_lite0, 224, 4_652_008),
}


def load(theirs, net):
    """Give torch's network the weights of ours, of which none may be missing or left over."""
    state = {name: torch.from_numpy(array) for name, array in net.constants.items()}
    missing, unexpected = theirs.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(name.endswith("num_batches_tracked") for name in missing)
    return theirs.eval()


def assert_agree(found, wanted, tolerance=TOLERANCE):
    assert found.shape == wanted.shape
    largest = np.abs(wanted).max()
    assert wanted.std() > 0.02 * largest
    assert np.abs(found - wanted).max() <= tolerance * largest


def logits(theirs, images):
    with torch.inference_mode():
        return theirs(torch.from_numpy(images)).numpy()


@pytest.mark.slow
@pytest.mark.parametrize("case", NETWORKS)
def test_logits(case, rng):
    build, arguments, theirs, size, parameters = NETWORKS[case]
    net, theirs = build(**arguments), theirs()
    assert sum(p.numel() for p in theirs.parameters()) == parameters
    theirs = load(theirs, net)
    c = net.constants[next(iter(net.constants))].shape[1]
    images = rng.standard_normal((2, c, size, size), np.float32)
    found = net(images)
    assert_agree(found, logits(theirs, images))
    assert 0.05 < np.abs(found).max() < 100


def test_float64_weights_make_a_network_of_float64(rng):
    images = rng.standard_normal((1, 3, 64, 64))
    weights = models.googlenet().constants
    net = models.googlenet({name: array.astype(np.float64) for name, array in weights.items()})
    theirs = load(googlenet(False).double(), net)
    found = net(images)
    assert found.dtype == np.float64
    assert_agree(found, logits(theirs, images), 1e-12)


def test_float16_weights_make_a_network_of_float16(rng):
    net = models.squeezenet()
    half = {name: array.astype(np.float16) for name, array in net.constants.items()}
    images = rng.standard_normal((1, 3, 64, 64), np.float32)
    found = models.squeezenet(half)(images.astype(np.float16))
    assert found.dtype == np.float16
    assert_agree(found, net(images), 0.02)


def test_the_input_that_torchvisions_own_googlenet_wants(rng):
    images = rng.standard_normal((1, 3, 64, 64), np.float32)
    mean, deviation = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).reshape(2, 3, 1, 1)
    net = models.googlenet()
    transformed = ((images * deviation + mean) - 0.5) / 0.5
    found = models.googlenet(net.constants, transform_input=True)(images)
    assert_agree(found, net(transformed.astype(np.float32)))


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_sequential(axes, rng):
    conv, norm, pool, average = (
        getattr(nn, f"{kind}{axes}d") for kind in ("Conv", "BatchNorm", "MaxPool", "AvgPool")
    )
    shape = (4, *(17, 13, 11)[:axes])
    net = Sequential(
        [
            layers.conv(6, 3, stride=2, padding=1, groups=2, bias=False, name="0"),
            layers.batch_norm(name="1", eps=0.01),
            layers.activation(("leaky_relu", 0.2)),
            layers.conv(5, 3, padding="same", dilation=2, activation="silu", name="3"),
            layers.max_pool(3, 1, 1),
            layers.avg_pool(2, ceil_mode=True),
            layers.local_response_norm(3, 0.1, 0.5, 2),
            layers.dropout(),
            layers.flatten(),
            layers.dense(7, name="10"),
            layers.softmax(),
        ],
        input_shape=shape,
    )
    theirs = nn.Sequential(
        conv(4, 6, 3, 2, 1, groups=2, bias=False),
        norm(6, eps=0.01),
        nn.LeakyReLU(0.2),
        conv(6, 5, 3, padding="same", dilation=2),
        nn.SiLU(),
        pool(3, 1, 1),
        average(2, ceil_mode=True),
        nn.LocalResponseNorm(3, 0.1, 0.5, 2),
        nn.Dropout(),
        nn.Flatten(),
        nn.Linear(net.constants["10.weight"].shape[1], 7),
        nn.Softmax(1),
    )
    images = rng.standard_normal((3, *shape), np.float32)
    assert_agree(net(images), logits(load(theirs, net), images))


# -- files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["zip", "legacy", "protocol 4"])
@pytest.mark.parametrize("under", [None, "state_dict", "model"])
def test_files_that_torch_writes(form, under, tmp_path):
    theirs = resnet(False, 1, 1, 1, 1)
    state = theirs.state_dict()
    base = torch.arange(60.0).reshape(3, 4, 5)
    state |= {
        "turned": base.transpose(0, 2),
        "part": base[1:, ::2, 1:3],
        "parameter": nn.Parameter(base[0]),
        "half": base.half(),
        "brain": base.bfloat16(),
        "flags": base > 3,
        "empty": torch.empty(0, 3),
    }
    path = tmp_path / "weights.pth"
    options = {
        "zip": {},
        "legacy": {"_use_new_zipfile_serialization": False},
        "protocol 4": {"pickle_protocol": 4},
    }
    torch.save(state if under is None else {under: state, "epoch": 3}, path, **options[form])
    found = models.load_weights(path)
    assert list(found) == list(state)
    for name, tensor in state.items():
        wanted = (tensor.float() if name == "brain" else tensor).detach().numpy()
        assert found[name].dtype == wanted.dtype, name
        assert np.array_equal(found[name], wanted), name


def test_a_module_that_was_saved_whole_is_refused(tmp_path):
    path = tmp_path / "module.pth"
    torch.save(nn.Linear(2, 3), path)
    with pytest.raises(ValueError, match=r"torch.nn.modules.linear.Linear.*Save a dictionary"):
        models.load_weights(path)


def test_a_checkpoint_of_torch_is_a_network(rng, tmp_path):
    """From the file to the logits, auxiliary heads and counters included."""
    theirs = googlenet(False).eval()
    aux = {f"aux{i}.fc1.weight": torch.zeros(1024, 2048) for i in (1, 2)}
    torch.save(theirs.state_dict() | aux, tmp_path / "googlenet.pth")
    images = rng.standard_normal((1, 3, 64, 64), np.float32)
    net = models.googlenet(tmp_path / "googlenet.pth")
    assert not [name for name in net.constants if name.startswith("aux")]
    wanted = logits(theirs, images)
    assert np.abs(net(images) - wanted).max() <= TOLERANCE * np.abs(wanted).max()
