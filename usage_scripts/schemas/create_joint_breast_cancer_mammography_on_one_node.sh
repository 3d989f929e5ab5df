#!/usr/bin/env bash
# usage: create_joint_breast_cancer_mammography_on_one_node.sh NAME   (SCHEMA=NAME executions/create_joint_breast_cancer_mammography_on_one_node.sh … runs it)
. "$(dirname "$0")/../common.sh"
schema_like joint-breast-cancer-mammography-on-one-node "${1:?name}"
