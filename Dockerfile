# The image of every Airflow service and of the command line: the lock that a laptop uses, and the checkout.
#
#   docker build --tag deepfactor:0.1.0 .
#
# A package index of your own, and its certificates, are secrets of the build and stay in no layer:
#
#   docker build --secret id=pip,src=$HOME/.config/pip/pip.conf --secret id=certificates,src=ca.pem --tag …

ARG PYTHON_IMAGE=python:3.13.14-slim-trixie

FROM ${PYTHON_IMAGE} AS packages
RUN python3 -m venv /opt/venv
COPY requirements.txt ./
# The lock names every package, by its bytes, and each has a wheel: nothing is resolved or compiled, so no compiler is needed.
RUN --mount=type=cache,target=/root/.cache/pip \
    --mount=type=secret,id=pip,target=/etc/pip.conf \
    --mount=type=secret,id=certificates,target=/etc/ssl/certs/pip.pem \
    /opt/venv/bin/pip install --disable-pip-version-check --require-hashes --no-deps --only-binary :all: \
        --requirement requirements.txt \
    && /opt/venv/bin/pip check
# The checkout is a layer of its own: this one, by far the largest, changes with the lock only.
RUN echo /opt/deepfactor > "$(echo /opt/venv/lib/python3.*/site-packages)/deepfactor.pth" \
    && printf '#!/opt/venv/bin/python\nfrom deepfactor.cli import app\n\napp()\n' > /opt/venv/bin/deepfactor \
    && chmod 0755 /opt/venv/bin/deepfactor

FROM ${PYTHON_IMAGE} AS checkout
COPY . /opt/deepfactor
# Readable for everybody, whatever the umask of the clone was; nobody but root may change it.
RUN chmod --recursive u=rwX,go=rX /opt/deepfactor \
    && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/deepfactor

FROM ${PYTHON_IMAGE}
# Number and group are those of Airflow's own image, which the Helm chart counts on.
RUN useradd --uid 50000 --gid 0 --home-dir /opt/airflow --create-home airflow \
    && install --directory --owner 50000 --group 0 --mode 0775 /opt/airflow/logs /opt/deepfactor/.local \
    # Without one, Airflow writes one, which it cannot where nothing may be written.
    && install --owner 50000 --group 0 --mode 0644 /dev/null /opt/airflow/airflow.cfg
COPY --from=packages /opt/venv /opt/venv
COPY --from=checkout /opt/deepfactor /opt/deepfactor
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/deepfactor/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/deepfactor/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=False
USER 50000:0
WORKDIR /opt/deepfactor
CMD ["airflow", "version"]
