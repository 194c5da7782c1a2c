{{- define "vpn-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* Short enough for every suffix, and for the label of a StatefulSet's revision (name and 11 characters in 63). */}}
{{- define "vpn-operator.fullname" -}}
{{- $name := include "vpn-operator.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What pods are selected by; immutable. Give the root and a component. */}}
{{- define "vpn-operator.selector" -}}
app.kubernetes.io/name: {{ include "vpn-operator.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "vpn-operator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "vpn-operator.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Without versions: an upgrade of the chart alone starts no pod anew. */}}
{{- define "vpn-operator.podLabels" -}}
{{ include "vpn-operator.selector" . }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "vpn-operator.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end }}
{{- end }}
{{- end }}

{{/* Name of a component's ServiceAccount. */}}
{{- define "vpn-operator.serviceAccount" -}}
{{- $account := (index .root.Values .component).serviceAccount -}}
{{- if $account.create -}}
{{- $account.name | default (printf "%s-%s" (include "vpn-operator.fullname" .root) .component) }}
{{- else -}}
{{- $account.name | default "default" }}
{{- end }}
{{- end }}

{{- define "vpn-operator.masterKeySecret" -}}
{{- .Values.masterKey.existingSecret | default (printf "%s-master-key" (include "vpn-operator.fullname" .)) }}
{{- end }}

{{- define "vpn-operator.corporateSecret" -}}
{{- .Values.corporateSecret.existingSecret | default (printf "%s-corporate-secret" (include "vpn-operator.fullname" .)) }}
{{- end }}

{{- define "vpn-operator.nodeSecrets" -}}
{{- .Values.nodeSecrets.existingSecret | default (printf "%s-nodes" (include "vpn-operator.fullname" .)) }}
{{- end }}

{{/* The pods that answer logins. */}}
{{- define "vpn-operator.authComponent" -}}
{{- if gt (int .Values.auth.replicas) 0 }}auth{{ else }}controller{{ end }}
{{- end }}

{{/* What both containers are allowed, which is nothing. */}}
{{- define "vpn-operator.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
privileged: false
readOnlyRootFilesystem: true
{{- end }}

{{/* A probe of the listener that has /livez and /readyz. */}}
{{- define "vpn-operator.probe" -}}
httpGet:
  path: {{ .path }}
  port: http
  scheme: {{ if .tls }}HTTPS{{ else }}HTTP{{ end }}
{{- end }}

{{/* Environment of both containers. */}}
{{- define "vpn-operator.environment" -}}
- name: VPN_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: LISTEN_ADDR
  value: {{ printf "%s:8080" .Values.settings.bindAddress | quote }}
- name: HYSTERIA_AUTH_LISTEN
  value: {{ printf "%s:8081" .Values.settings.bindAddress | quote }}
- name: MASTER_KEY_FILE
  value: /run/secrets/vpn-operator/master-key
{{- if .Values.masterKey.previousSecret }}
- name: MASTER_KEY_PREVIOUS_FILE
  value: /run/secrets/vpn-operator/master-key-previous
{{- end }}
- name: HYSTERIA_AUTH_TOKEN_FILE
  value: /run/secrets/vpn-operator/auth-token
- name: HYSTERIA_STATS_SECRET_FILE
  value: /run/secrets/vpn-operator/stats-secret
- name: HYSTERIA_POLL_INTERVAL
  value: {{ .Values.settings.pollInterval | quote }}
- name: GUARD_LIMIT
  value: {{ .Values.settings.guard.limit | quote }}
- name: GUARD_SHARE
  value: {{ .Values.settings.guard.share | quote }}
- name: GUARD_WINDOW
  value: {{ .Values.settings.guard.window | quote }}
{{- if .Values.auth.tls.existingSecret }}
- name: HYSTERIA_AUTH_TLS_CERT_FILE
  value: /run/secrets/auth-tls/tls.crt
- name: HYSTERIA_AUTH_TLS_KEY_FILE
  value: /run/secrets/auth-tls/tls.key
{{- end }}
- name: LOG_FORMAT
  value: {{ .Values.settings.logFormat }}
- name: LOG_LEVEL
  value: {{ .Values.settings.logLevel | quote }}
{{- end }}

{{/* What the bot is set by, wherever it runs. */}}
{{- define "vpn-operator.botEnvironment" -}}
- name: TELEGRAM_BOT_TOKEN_FILE
  value: /run/secrets/vpn-operator/telegram-bot-token
{{- with .Values.bot }}
{{- with .admins }}
- name: ADMIN_TELEGRAM_IDS
  value: {{ . | quote }}
{{- end }}
{{- with .helpDesk }}
- name: HELPDESK_TELEGRAM_IDS
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* Sources of the projected volume of secrets that both containers have. */}}
{{- define "vpn-operator.secretSources" -}}
- secret:
    name: {{ include "vpn-operator.masterKeySecret" . }}
    items: [{ key: {{ .Values.masterKey.key }}, path: master-key }]
{{- if .Values.masterKey.previousSecret }}
- secret:
    name: {{ .Values.masterKey.previousSecret }}
    items: [{ key: {{ .Values.masterKey.previousKey }}, path: master-key-previous }]
{{- end }}
{{- end }}

{{/* The rest of a pod's spec, the same for both. Give the root, and the values of the component. */}}
{{- define "vpn-operator.scheduling" -}}
enableServiceLinks: false
terminationGracePeriodSeconds: {{ .values.terminationGracePeriodSeconds }}
securityContext:
  {{- toYaml .root.Values.podSecurityContext | nindent 2 }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Refuses a second release in one namespace: both would reconcile the same objects. Finds nothing where there is no cluster. */}}
{{- define "vpn-operator.aloneInNamespace" -}}
{{- range (lookup "apps/v1" "StatefulSet" .Release.Namespace "").items }}
{{- $labels := .metadata.labels | default dict }}
{{- $chart := get $labels "helm.sh/chart" | toString }}
{{- $release := get $labels "app.kubernetes.io/instance" | toString }}
{{- if and (hasPrefix (printf "%s-" $.Chart.Name) $chart) (eq (get $labels "app.kubernetes.io/component" | toString) "controller") (ne $release $.Release.Name) }}
{{- fail (printf "the release %s is in the namespace %s already, and one is all that a namespace can have: upgrade it, or take another namespace" $release $.Release.Namespace) }}
{{- end }}
{{- end }}
{{- end }}
