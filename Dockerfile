# The API and the controller; which of the two is the command's choice:
#   docker run … orchestrator                              the API
#   docker run … orchestrator python manage.py run_controller
FROM python:3.12-slim

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 DATA_DIR=/data
WORKDIR /app
COPY requirements.txt constraints.txt ./
RUN pip install --disable-pip-version-check -r requirements.txt -c constraints.txt \
    && useradd --system --uid 10001 --create-home orchestrator \
    && install -d -o orchestrator -g orchestrator -m 0700 /data
COPY manage.py ./
COPY orchestrator_api orchestrator_api
COPY engines engines
COPY executions executions
COPY federated federated
COPY registry registry
COPY runs runs
COPY schemas schemas
COPY templates templates
COPY web web

USER orchestrator
VOLUME /data
EXPOSE 8900
CMD ["gunicorn", "--config", "python:orchestrator_api.gunicorn_conf"]
