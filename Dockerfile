# Four images: the service, and the programs that Workflows name as images; `make image` builds them all. Each has only the
# code and the packages of its own programs (deploy/image/*.lock). The first argument of a container of the service chooses
# the program (deploy/image/orchestrator.py lists them):
#   docker build -t REGISTRY/orchestrator:0.1.0 .
#   docker build --target processor-resource-manager -t REGISTRY/processor-resource-manager:2.0.0 .
#   docker build --target federated-learning-manager -t REGISTRY/federated-learning-manager:2.0.0 .
#   docker build --target sample-ai-engine -t REGISTRY/sample-ai-engine:1.0.0 .
# How pip reaches its index is mounted while it installs (deploy/image/build.py) and stays in no image.
# BASE has Python with pip and venv; constraints.txt is what 3.11 was tested with. The digest is that of all platforms, as
# the official images' record (docker-library/repo-info, repos/python/remote) has it; `make image-digest` asks the
# registry for the tag's present one.
ARG BASE=docker.io/library/python:3.11.16-slim@sha256:8203f8b7cc03e7a0b2da2a7bfebdb7e39d985983791e2aba5b01cc535bf36f53

FROM ${BASE} AS build
WORKDIR /app
COPY deploy/image/install.py /tmp/
# Compiled in each of the stages below, once: nothing is written where the programs run.

FROM build AS orchestrator-files
COPY deploy/image/orchestrator.lock /tmp/packages.lock
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=certificates \
    python /tmp/install.py /tmp/packages.lock
COPY manage.py ./
COPY orchestrator_api orchestrator_api
COPY engines engines
COPY executions executions
COPY federated federated
COPY policy policy
COPY registry registry
COPY runs runs
COPY runtime/*.py runtime/*.json runtime/
COPY runtime/step_runner runtime/step_runner
COPY runtime/federated_manager runtime/federated_manager
COPY schemas schemas
COPY templates templates
COPY web web
RUN python -m compileall -q --invalidation-mode unchecked-hash /app

FROM build AS processor-resource-manager-files
COPY deploy/image/processor-resource-manager.lock /tmp/packages.lock
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=certificates \
    python /tmp/install.py /tmp/packages.lock
COPY runtime/*.py runtime/*.json runtime/
COPY runtime/step_runner runtime/step_runner
RUN python -m compileall -q --invalidation-mode unchecked-hash /app

FROM build AS federated-learning-manager-files
COPY deploy/image/federated-learning-manager.lock /tmp/packages.lock
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=certificates \
    python /tmp/install.py /tmp/packages.lock
COPY runtime/*.py runtime/*.json runtime/
COPY runtime/federated_manager runtime/federated_manager
RUN python -m compileall -q --invalidation-mode unchecked-hash /app

FROM build AS sample-ai-engine-files
COPY deploy/image/sample-ai-engine.lock /tmp/packages.lock
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=certificates \
    python /tmp/install.py /tmp/packages.lock
COPY runtime/*.py runtime/*.json runtime/
COPY runtime/sample_ai_engine runtime/sample_ai_engine
RUN python -m compileall -q --invalidation-mode unchecked-hash /app

FROM ${BASE} AS programs
RUN groupadd --gid 10001 orchestrator \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin orchestrator \
    && install -d -o 10001 -g 10001 -m 0700 /data \
    && install -d -o 10001 -g 0 -m 0775 /usr/application
COPY --chmod=0755 deploy/image/orchestrator.py /usr/local/bin/orchestrator
ENV PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONPATH=/app PYTHONSAFEPATH=1 PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 DATA_DIR=/data
# Manifests read the step runner's output files here.
WORKDIR /usr/application
USER 10001:10001
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s CMD ["/usr/local/bin/orchestrator", "health"]

FROM programs AS processor-resource-manager
COPY --from=processor-resource-manager-files /opt/venv /opt/venv
COPY --from=processor-resource-manager-files /app /app
ENTRYPOINT ["/usr/local/bin/orchestrator", "step-runner"]

FROM programs AS federated-learning-manager
COPY --from=federated-learning-manager-files /opt/venv /opt/venv
COPY --from=federated-learning-manager-files /app /app
ENTRYPOINT ["/usr/local/bin/orchestrator", "federated-manager"]

FROM programs AS sample-ai-engine
COPY --from=sample-ai-engine-files /opt/venv /opt/venv
COPY --from=sample-ai-engine-files /app /app
ENTRYPOINT ["/usr/local/bin/orchestrator", "sample-ai-engine"]

# A build without --target makes the last stage.
FROM programs AS orchestrator
COPY --from=orchestrator-files /opt/venv /opt/venv
COPY --from=orchestrator-files /app /app
VOLUME /data
EXPOSE 8900
ENTRYPOINT ["/usr/local/bin/orchestrator"]
CMD ["api"]
