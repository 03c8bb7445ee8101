"""What a remote fine-tuning run leaves, for the journeys in VS Code.

`began GROUP` makes the resource group and prints infra/finetuning.config.json's two first keys; `left FOLDER` puts the
base model and the adapter on the share that the folder's infra/inference.config.json names; `broke FOLDER` cuts the adapter's
weights there in half, as an upload that broke off leaves them; `rotated FOLDER` renews the storage account's keys, as an owner
or a policy does; `awake FOLDER` counts its replicas without a request to them; `asks` prints the sample's questions, `sample` its
folder.
"""

from __future__ import annotations

import json
import os
import sys
import threading

from azure.mgmt.storage import StorageManagementClient

from sidecar.core.workspace import open_workspace, target_of
from sidecar.doors.demo import sample_models, upload_models
from sidecar.gateway import resources, revisions
from sidecar.gateway.files import open_share
from sidecar.gateway.patience import Patience
from sidecar.gateway.place import GroupPlace
from sidecar.gateway.session import open_session, prepare, settings_from

WEIGHTS = "models/qlora/qlora/gpu_model/adapter/adapter_model.safetensors"


def main(verb: str, argument: str) -> None:
    settings = settings_from(os.environ, say=lambda text: print(text, file=sys.stderr))
    if verb in ("asks", "sample"):
        folder, questions = sample_models(settings, threading.Event())
        print(json.dumps([vars(each) for each in questions] if verb == "asks" else str(folder)))
        return
    prepare(settings, "local", ("local-image",), Patience())
    session = open_session(settings, "local")
    if verb == "began":
        subscription = resources.subscriptions(session)[0]
        region = resources.locations(session, subscription.id)[0][0]
        resources.create_group(session, subscription.id, argument, region)
        print(json.dumps({"SUBSCRIPTION_ID": subscription.id, "RESOURCE_GROUP_NAME": argument}))
    elif verb == "broke":
        target = target_of(open_workspace(argument))
        place = GroupPlace(session, target.subscription_id, target.resource_group)
        with open_share(place, target.storage_account, target.file_share) as share:
            share.replace(WEIGHTS, share.read(WEIGHTS)[:-1000])
    elif verb == "rotated":
        target = target_of(open_workspace(argument))
        with StorageManagementClient(session.credential, target.subscription_id, **session.arm_options()) as client:
            for name in ("key1", "key2"):
                client.storage_accounts.regenerate_key(target.resource_group, target.storage_account, {"keyName": name})
    elif verb == "awake":
        target = target_of(open_workspace(argument))
        place = GroupPlace(session, target.subscription_id, target.resource_group).app(target.app)
        print(json.dumps(sum(len(revisions.replicas(place, each.name)) for each in revisions.revisions(place))))
    elif verb == "left":
        folder, _ = sample_models(settings, threading.Event())
        upload_models(session, open_workspace(argument), folder)
    else:
        sys.exit(f"unknown: {verb}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "")
