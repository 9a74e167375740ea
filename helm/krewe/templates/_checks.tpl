{{/* What no schema can say: values that contradict each other. Included by the silo's template. */}}
{{- define "krewe.checks" -}}
{{- if and (not .Values.redis.enabled) (not .Values.externalRedis.host) -}}
{{- fail "redis.enabled is false and externalRedis.host is empty: silos have nowhere to meet. Give externalRedis.host." -}}
{{- end -}}
{{- if and .Values.redis.enabled .Values.externalRedis.host -}}
{{- fail "redis.enabled is true and externalRedis.host is set: choose one of them." -}}
{{- end -}}
{{- if not (hasKey .Values.accelerator.kinds .Values.accelerator.type) -}}
{{- fail (printf "accelerator.type is %q; accelerator.kinds has %s." .Values.accelerator.type (keys .Values.accelerator.kinds | sortAlpha | join ", ")) -}}
{{- end -}}
{{- if eq .Values.model.source "pvc" -}}
{{- if and (not .Values.model.pvc.existingClaim) (not .Values.model.pvc.create) -}}
{{- fail "model.source is pvc: give model.pvc.existingClaim, or model.pvc.create=true and fill the claim." -}}
{{- end -}}
{{- end -}}
{{- if and (eq .Values.model.source "hostPath") (not .Values.model.hostPath) -}}
{{- fail "model.source is hostPath: give model.hostPath." -}}
{{- end -}}
{{- if and .Values.tracing.enabled (not .Values.tracing.otlpEndpoint) -}}
{{- fail "tracing.enabled is true: give tracing.otlpEndpoint, like http://collector.monitoring:4318." -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
{{- fail "httpRoute.enabled is true: give httpRoute.parentRefs, the gateways that carry it." -}}
{{- end -}}
{{- include "krewe.checkRole" (dict "root" . "role" "silo" "values" .Values.silo) -}}
{{- $workers := dict -}}
{{- range $role := list "prefill" "decode" "mixed" -}}
{{- $values := include "krewe.workerValues" (dict "root" $ "role" $role) | fromYaml -}}
{{- $_ := set $workers $role (or (gt (int $values.replicas) 0) $values.autoscaling.enabled $values.keda.enabled) -}}
{{- include "krewe.checkRole" (dict "root" $ "role" $role "values" $values) -}}
{{- if and $values.kvCache.spill.checkpoint (ne $values.kvCache.spill.medium "pvc") -}}
{{- fail (printf "%s.kvCache.spill.checkpoint needs a disk that outlives the worker: set %s.kvCache.spill.medium=pvc." $role $role) -}}
{{- end -}}
{{- if and (not $values.prefixCache) (or $values.kvCache.hostMemory $values.kvCache.spill.enabled) -}}
{{- fail (printf "%s.kvCache keeps blocks by their prefix: set %s.prefixCache=true, or leave the tiers out." $role $role) -}}
{{- end -}}
{{- if $.Values.scaler.enabled -}}
{{- if and (ne $role "mixed") (or $values.autoscaling.enabled $values.keda.enabled) -}}
{{- fail (printf "scaler.enabled and %s.autoscaling or %s.keda would pull at the same replicas: choose one." $role $role) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not (or $workers.mixed (and $workers.prefill $workers.decode)) -}}
{{- fail "No request could be served: give prefill.replicas and decode.replicas, or mixed.replicas, at least 1." -}}
{{- end -}}
{{- if and .Values.scaler.enabled (not (and $workers.prefill $workers.decode)) -}}
{{- fail "scaler.enabled scales prefill and decode: give both at least 1 replica." -}}
{{- end -}}
{{- end -}}

{{/* Takes root, role, values. */}}
{{- define "krewe.checkRole" -}}
{{- if and .values.autoscaling.enabled .values.keda.enabled -}}
{{- fail (printf "%s.autoscaling and %s.keda are both enabled: two scalers would pull at the same replicas. Choose one." .role .role) -}}
{{- end -}}
{{- if and .values.keda.enabled (not .values.keda.triggers) -}}
{{- fail (printf "%s.keda.enabled is true: give %s.keda.triggers, for instance a prometheus query." .role .role) -}}
{{- end -}}
{{- $needed := add (int .values.preStopSeconds) (int .values.drainSeconds) 15 -}}
{{- if lt (int .values.terminationGracePeriodSeconds) (int $needed) -}}
{{- fail (printf "%s.terminationGracePeriodSeconds is %d; preStop (%d) + drain (%d) + 15 s for leaving are %d: Kubernetes would kill it while it drains." .role (int .values.terminationGracePeriodSeconds) (int .values.preStopSeconds) (int .values.drainSeconds) (int $needed)) -}}
{{- end -}}
{{- end -}}
