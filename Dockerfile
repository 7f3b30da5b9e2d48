# A service that fuses pairs of images, on CPU; docs/serve.md says how to use it.
FROM python:3.12-slim AS build
WORKDIR /source
COPY . .
RUN python -m venv /opt/fusejax \
    && /opt/fusejax/bin/pip install --no-cache-dir -c constraints/py312.txt ".[serve]"

FROM python:3.12-slim
# The weights are in the package, so nothing is loaded from the network at run time.
COPY --from=build /opt/fusejax /opt/fusejax
RUN useradd --uid 10001 --create-home --home-dir /home/fusejax fusejax
USER 10001
WORKDIR /home/fusejax
ENV PATH=/opt/fusejax/bin:$PATH \
    JAX_PLATFORMS=cpu \
    PYTHONUNBUFFERED=1
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
# Needs -e FUSEJAX_TOKEN=SECRET, since the service can be reached from outside the container.
ENTRYPOINT ["fusejax", "serve", "--host", "0.0.0.0", "--port", "8000"]
