# One image for web, worker and scheduler; compose.yaml says which is which.
FROM python:3.11.15-slim-bookworm@sha256:d29f48a31a8b408ed19272ca1e7b10ebae13b240a27e862d3d4217c528e2e0c3 AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /venv
COPY requirements.lock /tmp/
RUN /venv/bin/pip install --require-hashes --requirement /tmp/requirements.lock

FROM python:3.11.15-slim-bookworm@sha256:d29f48a31a8b408ed19272ca1e7b10ebae13b240a27e862d3d4217c528e2e0c3
# git and ssh read the repositories; nothing else is needed.
RUN apt-get update \
    && apt-get install -y --no-install-recommends git openssh-client ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin muster \
    && install -d -o muster -g muster -m 0700 /data
COPY --from=packages /venv /venv
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DEBUG=False \
    HOST=0.0.0.0 \
    PORT=8000 \
    MUSTER_DATA=/data
WORKDIR /app
COPY . .
# Compiled once here, because the file system is read-only later. The values below are
# for this line alone; none of them is kept in the image.
RUN python -m compileall -q . \
    && SECRET_KEY=only-for-collectstatic ALLOWED_HOSTS=localhost MUSTER_DATA=/tmp/build \
       python manage.py collectstatic --noinput \
    && rm -rf /tmp/build
USER muster
VOLUME /data
EXPOSE 8000
CMD ["gunicorn", "--config", "python:registry_site.gunicorn_conf", "registry_site.wsgi"]
