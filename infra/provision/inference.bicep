// The inference endpoint: one container app with a GPU, on the environment, storage and share that fine-tuning left.
// Every name may be null: the default then equals fine-tuning's, so that both find the same resources.

metadata name = 'Slipway inference'

@description('Shell commands that start the web API, run in order under /bin/bash from the unpacked release. A failing command stops the start.')
param defaultCommands array = [
  'python3 -m pip install --quiet --disable-pip-version-check -r inference/requirements.txt'
  'python3 -m inference'
]

@description('Ceiling of GPU instances: maxReplicas, and maximumCount of a dedicated profile that this template creates.')
@minValue(1)
@maxValue(100)
param maximumInstanceCount int = 1

@description('Region; null means the resource group\'s.')
param location string?

@description('Storage account that holds the share; null means fine-tuning\'s name.')
param storageAccountName string?

@description('File share with the base model and the adapters; null means fine-tuning\'s name.')
param fileShareName string?

@description('Container Apps environment; null means fine-tuning\'s name.')
param acaEnvironmentName string?

@description('The share\'s name inside the environment; null means fine-tuning\'s name.')
param acaEnvironmentStorageName string?

@description('Container app for inference; null means the default name.')
param acaAppName string?

@description('Log Analytics workspace; null means fine-tuning\'s name.')
param acaLogAnalyticsName string?

@description('Create these, or refer to what exists. An existing resource is never rewritten: a PUT would drop its settings.')
param createStorageAccount bool = true
param createFileShare bool = true
param createLogAnalytics bool = true
param createEnvironment bool = true
param createEnvironmentStorage bool = true
param createApp bool = true

@description('GPU profile. The T4 is the default: the cheapest serverless GPU, and 16 GB hold the models of up to 4 billion parameters that this flow fine-tunes by default. Choose Consumption-GPU-NC24-A100 for larger ones, or NC24-A100 (dedicated, billed while nodes run) in an environment that has it.')
@allowed([
  'Consumption-GPU-NC8as-T4'
  'Consumption-GPU-NC24-A100'
  'NC24-A100'
  'NC48-A100'
  'NC96-A100'
])
param gpuProfileType string = 'Consumption-GPU-NC8as-T4'

@description('Name of the workload profile inside the environment.')
param gpuProfileName string = 'gpu-inference'

@description('CPU cores and memory of a replica; they must fit the profile (T4: 8 and 56Gi; A100: 24 and 220Gi).')
param cpu string = '8'
param memory string = '56Gi'

@description('Image with Python, bash and PyTorch. The other packages come from inference/requirements.txt.')
param image string = 'docker.io/pytorch/pytorch:2.13.0-cuda13.0-cudnn9-runtime'

@description('Base model under model-cache, as organisation/model; empty means the only one.')
param baseModel string = ''

@description('Size limit of the file share, in GiB.')
@minValue(1)
@maxValue(102400)
param shareQuota int = 1024

@description('Seconds without a request after which the last replica is released.')
@minValue(30)
@maxValue(3600)
param cooldownSeconds int = 300

@description('Identifies the project that owns the app; a second project does not overwrite it unnoticed.')
param projectId string = ''

@description('Key that callers present. A new one is made when none is given.')
@secure()
param apiKey string = newGuid()

var suffix = take(uniqueString(resourceGroup().id), 5)
var place = location ?? resourceGroup().location
var storageName = storageAccountName ?? 'aistorage${suffix}'
var shareName = fileShareName ?? 'aifileshare${suffix}'
var environmentName = acaEnvironmentName ?? 'aienv${suffix}'
var environmentStorageName = acaEnvironmentStorageName ?? 'aienvstorage${suffix}'
var appName = acaAppName ?? 'aiacaapp${suffix}'
var logsName = acaLogAnalyticsName ?? 'ailog${suffix}'
var serverless = contains(gpuProfileType, 'Consumption')
var profile = {
  name: gpuProfileName
  workloadProfileType: gpuProfileType
}
var dedicatedCounts = {
  minimumCount: 0
  maximumCount: maximumInstanceCount
}

// bootstrap.py: chooses the release that is current on the share, verifies it, unpacks it to local disk, makes it the working
// directory and runs the commands, in which pip may install. Until the first deploy it only answers the probes.
var bootstrap = '''
"""The container's start: chooses the current release on the share, verifies it, unpacks it, and runs the commands there.

`npm run fix` puts this file into inference.bicep; the container runs it as `python3 -c <this> <script>`, on whatever Python
the image has, before any package is installed. Until the first deploy it answers the probes and nothing else.
"""

from __future__ import annotations

import hashlib
import hmac
import http.server
import json
import os
import pathlib
import re
import signal
import sys
import tarfile
import tempfile
from typing import NoReturn

PHASE = {
    "status": "loading",
    "phase": "waiting-for-first-deploy",
    "progress": None,
    "detail": "run Deploy for inference",
}


def main(script: str) -> NoReturn:
    mount = os.environ["SLIPWAY_MOUNT"]
    home = pathlib.Path(mount, ".slipway", os.environ["SLIPWAY_APP"])
    # The default image's Python is its system's own, and marked so that pip refuses to install into it (PEP 668). The image's
    # PyTorch is in there and the container is thrown away, so pip may. What a person has set for pip stays as it is.
    os.environ.setdefault("PIP_BREAK_SYSTEM_PACKAGES", "1")
    os.environ.setdefault("PIP_ROOT_USER_ACTION", "ignore")
    if "cd " + mount in script:
        say("the commands change into the mount: they run from the plain tree there, not from a release")
        run(script)
    offered = candidates(home)
    for digest, generation in offered:
        bundle = verified(home, digest)
        if bundle is not None:
            os.chdir(unpacked(bundle))
            os.environ.update(SLIPWAY_RELEASE_DIGEST=digest, SLIPWAY_GENERATION=generation)
            say(f"starting release {digest[:12]}" + (f" (generation {generation})" if generation else ""))
            say("phase dependencies")
            run(script)
    if offered:
        sys.exit("slipway: failed: no release on the share is intact: run Deploy for inference again")
    wait_for_the_first_deploy()


def run(script: str) -> NoReturn:
    os.execvp("/bin/bash", ["/bin/bash", "-c", script])


def say(text: str) -> None:
    print("slipway:", text, flush=True)


def candidates(home: pathlib.Path) -> list[tuple[str, str]]:
    """Digest and generation of each release that may run, the current one first."""
    wanted = os.environ.get("SLIPWAY_RELEASE", "current")
    if wanted != "current":
        return [(wanted, "")]
    numbered = [each for each in home.glob("generations/*.json") if each.stem.isascii() and each.stem.isdigit()]
    found = [(release_of(each), each.stem) for each in sorted(numbered, key=lambda each: int(each.stem), reverse=True)]
    return [(release, generation) for release, generation in found if release]


def release_of(generation: pathlib.Path) -> str:
    """The release that a generation names; empty, and said, when the file is damaged: an older one may still run."""
    try:
        release = json.loads(generation.read_text())["release"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        say(f"generation {generation.stem} can't be read and is skipped ({type(error).__name__})")
        return ""
    if isinstance(release, str) and re.fullmatch("[0-9a-f]{64}", release):
        return release
    say(f"generation {generation.stem} names no release and is skipped")
    return ""


def verified(home: pathlib.Path, digest: str) -> pathlib.Path | None:
    """A copy of the bundle on the local disk, if it is the one that its name says."""
    bundle = home / "releases" / digest
    if not bundle.is_file():
        say(f"release {digest[:12]} is not on the share")
        return None
    copy = pathlib.Path(tempfile.mkdtemp(), "bundle.tar")
    seen = hashlib.sha256()
    with bundle.open("rb") as source, copy.open("wb") as target:
        while block := source.read(1 << 20):
            seen.update(block)
            target.write(block)
    if seen.hexdigest() == digest:
        return copy
    say(f"release {digest[:12]} on the share does not match its digest and is refused")
    return None


def unpacked(bundle: pathlib.Path) -> str:
    place = tempfile.mkdtemp(prefix="release-")
    with tarfile.open(bundle) as archive:
        # Pythons before 3.11.4 (Debian 12's) know no filter; the bundle is ours, to the byte.
        if hasattr(tarfile, "data_filter"):
            archive.extractall(place, filter="data")
        else:
            archive.extractall(place)  # noqa: S202  (see above)
    bundle.unlink()
    return place


def wait_for_the_first_deploy() -> NoReturn:
    say("waiting for the first deploy: only the probes are answered")
    say("phase waiting-for-first-deploy")
    signal.signal(signal.SIGTERM, end)
    address = (os.environ.get("SLIPWAY_BIND_HOST", ""), int(os.environ.get("CONTAINER_APP_PORT", "7860")))
    http.server.ThreadingHTTPServer(address, Probes).serve_forever()
    raise AssertionError("it serves until the container ends")


def end(number: int, frame: object) -> NoReturn:
    sys.exit(0)


class Probes(http.server.BaseHTTPRequestHandler):
    """Alive, not ready; why is told to those who have the key."""

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        key = os.environ.get("SLIPWAY_API_KEY", "")
        given = self.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        known = bool(key) and hmac.compare_digest(key.encode(), given.encode())
        body = json.dumps(PHASE).encode() if known else b""
        self.send_response(200 if path == "/health/live" else 503)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Retry-After", "5")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Probes come every few seconds; the log is for what happens."""


if __name__ == "__main__":
    main(sys.argv[1])
'''

resource storage 'Microsoft.Storage/storageAccounts@2023-05-01' = if (createStorageAccount) {
  name: storageName
  location: place
  kind: 'StorageV2'
  sku: {
    name: 'Standard_LRS'
  }
  properties: {
    allowBlobPublicAccess: false
    allowSharedKeyAccess: true // mounting over SMB needs the account key
    largeFileSharesState: 'Enabled'
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
  }
}

resource share 'Microsoft.Storage/storageAccounts/fileServices/shares@2023-05-01' = if (createFileShare) {
  name: '${storageName}/default/${shareName}'
  properties: {
    shareQuota: shareQuota
  }
  dependsOn: [
    storage
  ]
}

resource logs 'Microsoft.OperationalInsights/workspaces@2023-09-01' = if (createLogAnalytics) {
  name: logsName
  location: place
  properties: {
    retentionInDays: 30
    sku: {
      name: 'PerGB2018'
    }
  }
}

resource existingLogs 'Microsoft.OperationalInsights/workspaces@2023-09-01' existing = if (createEnvironment && !createLogAnalytics) {
  name: logsName
}

resource environment 'Microsoft.App/managedEnvironments@2025-07-01' = if (createEnvironment) {
  name: environmentName
  location: place
  properties: {
    appLogsConfiguration: {
      destination: 'log-analytics'
      logAnalyticsConfiguration: {
        customerId: createLogAnalytics ? logs!.properties.customerId : existingLogs!.properties.customerId
        sharedKey: createLogAnalytics ? logs!.listKeys().primarySharedKey : existingLogs!.listKeys().primarySharedKey
      }
    }
    workloadProfiles: [
      {
        name: 'Consumption'
        workloadProfileType: 'Consumption'
      }
      union(profile, serverless ? {} : dedicatedCounts)
    ]
  }
}

resource environmentStorage 'Microsoft.App/managedEnvironments/storages@2025-07-01' = if (createEnvironmentStorage) {
  name: '${environmentName}/${environmentStorageName}'
  properties: {
    azureFile: {
      accountName: storageName
      accountKey: listKeys(resourceId('Microsoft.Storage/storageAccounts', storageName), '2023-05-01').keys[0].value
      shareName: shareName
      accessMode: 'ReadWrite'
    }
  }
  dependsOn: [
    environment
    share
    storage
  ]
}

resource app 'Microsoft.App/containerApps@2025-07-01' = if (createApp) {
  name: appName
  location: place
  tags: {
    'slipway-project': projectId
  }
  properties: {
    environmentId: resourceId('Microsoft.App/managedEnvironments', environmentName)
    workloadProfileName: gpuProfileName
    configuration: {
      activeRevisionsMode: 'Multiple'
      maxInactiveRevisions: 10
      ingress: {
        external: true
        allowInsecure: false
        targetPort: 7860
        transport: 'auto'
        traffic: [
          {
            latestRevision: true
            weight: 100
          }
        ]
      }
      secrets: [
        {
          name: 'api-key'
          value: apiKey
        }
      ]
    }
    template: {
      terminationGracePeriodSeconds: 60
      containers: [
        {
          name: 'inference'
          image: image
          command: [
            'python3'
            '-c'
            bootstrap
          ]
          args: [
            join(concat(['set -e'], defaultCommands), '\n')
          ]
          env: [
            {
              name: 'SLIPWAY_APP'
              value: appName
            }
            {
              name: 'SLIPWAY_RELEASE'
              value: 'current'
            }
            {
              name: 'SLIPWAY_MOUNT'
              value: '/mount'
            }
            {
              name: 'SLIPWAY_BASE_MODEL'
              value: baseModel
            }
            {
              name: 'SLIPWAY_API_KEY'
              secretRef: 'api-key'
            }
          ]
          resources: {
            cpu: json(cpu)
            memory: memory
          }
          volumeMounts: [
            {
              volumeName: 'share'
              mountPath: '/mount'
            }
          ]
          probes: [
            {
              type: 'Startup'
              httpGet: {
                path: '/health/live'
                port: 7860
              }
              periodSeconds: 5
              timeoutSeconds: 5
              failureThreshold: 240
            }
            {
              type: 'Liveness'
              httpGet: {
                path: '/health/live'
                port: 7860
              }
              periodSeconds: 30
              timeoutSeconds: 10
              failureThreshold: 5
            }
            {
              type: 'Readiness'
              httpGet: {
                path: '/health/ready'
                port: 7860
              }
              periodSeconds: 5
              timeoutSeconds: 5
              failureThreshold: 48
            }
          ]
        }
      ]
      volumes: [
        {
          name: 'share'
          storageType: 'AzureFile'
          storageName: environmentStorageName
        }
      ]
      scale: {
        minReplicas: 0
        maxReplicas: maximumInstanceCount
        cooldownPeriod: cooldownSeconds
        rules: [
          {
            name: 'requests'
            http: {
              metadata: {
                concurrentRequests: '32'
              }
            }
          }
        ]
      }
    }
  }
  dependsOn: [
    environment
    environmentStorage
  ]
}

resource existingApp 'Microsoft.App/containerApps@2025-07-01' existing = if (!createApp) {
  name: appName
}

output SUBSCRIPTION_ID string = subscription().subscriptionId
output RESOURCE_GROUP_NAME string = resourceGroup().name
output STORAGE_ACCOUNT_NAME string = storageName
output FILE_SHARE_NAME string = shareName
output ACA_APP_NAME string = appName
output ACA_APP_ENDPOINT string = createApp ? app!.properties.configuration.ingress.fqdn : existingApp!.properties.configuration.ingress.fqdn
