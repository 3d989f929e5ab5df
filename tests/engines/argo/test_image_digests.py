"""The digests that a cluster's nodes pulled, as pods tell them."""

from engines.argo.pods import digests_of

DIGEST = f"sha256:{'1' * 64}"


def pod(image_id: str) -> dict:
    return {
        "metadata": {"name": "p"},
        "spec": {
            "initContainers": [{"name": "first", "image": "registry:5000/first:1"}],
            "containers": [{"name": "main", "image": "busybox"}, {"name": "late", "image": "late:1"}],
        },
        "status": {
            "initContainerStatuses": [{"name": "first", "imageID": f"docker-pullable://registry:5000/first@{DIGEST}"}],
            # The node tells the whole name; what was asked for is in the pod's spec.
            "containerStatuses": [{"name": "main", "image": "docker.io/library/busybox:latest", "imageID": image_id}],
        },
    }


def test_images_have_the_names_that_were_asked_for() -> None:
    assert dict(digests_of(pod(f"docker.io/library/busybox@{DIGEST}"))) == {
        "registry:5000/first:1": DIGEST,
        "busybox": DIGEST,
    }


def test_an_image_that_is_not_pulled_yet_is_left_out() -> None:
    assert list(dict(digests_of(pod("")))) == ["registry:5000/first:1"]


def test_a_pod_that_has_not_started_tells_nothing() -> None:
    assert not list(digests_of({"metadata": {"name": "p"}, "spec": pod("")["spec"]}))
