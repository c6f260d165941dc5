#!/bin/sh
# Panthera: the commands of this plan, in their order
#
# THIS SCRIPT MOVES NO SUPPLY. Where a comment says 'rails', switch them yourself, HV off before any
# change of LV, or use `calseq execute`, which also watches, times out, and makes the bench safe.

set -eu
mkdir -p "${RUN:=run}/data"
RUN=$(cd "$RUN" && pwd)
cd /srv/bench
export PYTHONUNBUFFERED=1

# step 1/5 sldo_vi_curves, timeout 45m
# rails before: HV off, LV off
mkdir -p "$RUN/data/01-sldo_vi_curves"
dirigent \
    -C dirigent.toml \
    -p -l -m --no-monitoring \
    --instruments-dict '{}' \
    --directory "$RUN/data/01-sldo_vi_curves" \
    sldo_vi_curves

# step 2/5 voltage_trimming, timeout 2h
# rails before: HV off, LV on
mkdir -p "$RUN/data/02-voltage_trimming"
dirigent \
    -C dirigent.toml \
    -p -l -m --no-monitoring \
    --instruments-dict '{}' \
    --directory "$RUN/data/02-voltage_trimming" \
    voltage_trimming

# step 3/5 iv_curve, timeout 2h
# rails before: HV off, LV off
mkdir -p "$RUN/data/03-iv_curve"
dirigent \
    -C dirigent.toml \
    -p -l -m --no-monitoring \
    --instruments-dict '{}' \
    --directory "$RUN/data/03-iv_curve" \
    iv_curve \
    -w \
    --max-voltage -80 \
    --step-size 5
# now read breakdowns.json and the curve: bias only if it is a step below what both allow

# step 4/5 tune_1000, timeout 3h
# rails before: HV at -50 V, LV on
mkdir -p "$RUN/data/04-tune_1000"
dirigent \
    -C dirigent.toml \
    -p -l -m --no-monitoring \
    --instruments-dict '{}' \
    --directory "$RUN/data/04-tune_1000" \
    calibrate_module \
    -t Tuning_1000

# step 5/5 crosstalk_method, timeout 2h
# rails before: HV at -50 V, LV on
mkdir -p "$RUN/data/05-crosstalk_method"
dirigent \
    -C dirigent.toml \
    -p -l -m --no-monitoring \
    --instruments-dict '{}' \
    --directory "$RUN/data/05-crosstalk_method" \
    crosstalk_method || echo 'step 5 failed, going on' >&2
