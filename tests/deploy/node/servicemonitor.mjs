// Holds a ServiceMonitor, as JSON on standard input, to the schema of the Prometheus operator's CRD.
import { readFileSync } from 'node:fs';
import { ServiceMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor';

new ServiceMonitor(JSON.parse(readFileSync(0, 'utf8'))).validate();
