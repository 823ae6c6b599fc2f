# syntax=docker/dockerfile:1
#
#   docker build --target cpu -t safelight:cpu .        (also what no --target gives)
#   docker build --target cuda -t safelight:cuda .
#   docker build --target gateway -t safelight:gateway .    (of a cluster: neither torch nor any model library)
#
# --build-arg TORCH_INDEX=... names the package index the CPU build of torch is taken from.

ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/safelight
ENV PATH=/opt/safelight/bin:$PATH
WORKDIR /src

# Torch first and alone: the largest layer, and the one that changes least.
FROM base AS build-cpu
ARG TORCH=torch==2.13.0
ARG TORCH_INDEX
RUN pip install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$TORCH"
COPY . .
RUN pip install -c constraints.txt '.[engine]'

FROM base AS build-cuda
ARG TORCH=torch==2.13.0
RUN pip install "$TORCH"
COPY . .
# Both builds of ONNX Runtime are one import name: only one of them may be installed.
RUN pip install -c constraints.txt '.[engine]' \
 && pip uninstall --yes onnxruntime \
 && pip install "onnxruntime-gpu==$(sed -n 's/^onnxruntime==//p' constraints.txt)"

FROM base AS build-gateway
COPY . .
RUN pip install -c constraints.txt .

FROM python:${PYTHON} AS run
ENV PYTHONUNBUFFERED=1 \
    PATH=/opt/safelight/bin:$PATH \
    SAFELIGHT_DATA_DIR=/data \
    SAFELIGHT_MODELS_DIR=/models \
    SAFELIGHT_LOG_FORMAT=json
RUN useradd --system --create-home --uid 10001 safelight \
 && install -d -o safelight -g safelight /data /models
USER safelight
WORKDIR /home/safelight
VOLUME ["/data", "/models"]
EXPOSE 8765
# Alive, not ready: a server that still loads its engine must not be killed for it.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8765/v1/health/live', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["safelight"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8765"]

FROM run AS cuda
COPY --from=build-cuda /opt/safelight /opt/safelight

FROM run AS gateway
COPY --from=build-gateway /opt/safelight /opt/safelight
CMD ["gateway", "--host", "0.0.0.0", "--port", "8765"]

# A worker is one of the other two with the command `worker`; its health is asked for at the port it is given.
FROM run AS cpu
COPY --from=build-cpu /opt/safelight /opt/safelight
