#!/usr/bin/env bash
# usage: create_joint_breast_cancer_mammography.sh NAME   (SCHEMA=NAME executions/create_joint_breast_cancer_mammography.sh … runs it)
. "$(dirname "$0")/../common.sh"
schema_like joint-breast-cancer-mammography "${1:?name}"
