#!/usr/bin/env bash
# usage: create_joint_breast_cancer_mammography.sh VERSION_ID MODEL_ID EXTERNAL_DATA_ZIP
. "$(dirname "$0")/../common.sh"
breast_cancer_pipeline "${SCHEMA:-joint-breast-cancer-mammography}" "${1:?ai engine version id}" "${2:?ai model id}" "${3:?zip}"
