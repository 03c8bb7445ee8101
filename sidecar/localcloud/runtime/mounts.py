"""Volumes: which folder of this machine stands behind each mount path of a container app."""

from collections.abc import Mapping
from pathlib import Path

from sidecar.localcloud.core.accounts import account_keys, find_account, share_folder, share_id, takes_shared_keys
from sidecar.localcloud.core.fields import member
from sidecar.localcloud.core.state import Resource, Store
from sidecar.localcloud.runtime.configuration import AppRecord, SecretFile, Template, Volume
from sidecar.localcloud.runtime.containers import Unmountable


def mounts_of(store: Store, folder: Path, app: AppRecord, template: Template, layer: Path) -> Mapping[str, Path]:
    """Mount path → folder, for every volume mount of the template. Unmountable as the mount command would say it."""
    volumes = {volume.name: volume for volume in template.volumes}
    found: dict[str, Path] = {}
    for container in (*template.init_containers, *template.containers):
        for mount in container.mounts:
            base = _volume_folder(store, folder, app, volumes[mount.volume], layer)
            target = (base / mount.sub_path).resolve()
            if not target.is_relative_to(base.resolve()):
                raise Unmountable(f"subPath '{mount.sub_path}' leaves the volume '{mount.volume}'")
            target.mkdir(parents=True, exist_ok=True)
            found[mount.path.rstrip("/") or "/"] = target
            found[mount.path] = target
    return found


def _volume_folder(store: Store, folder: Path, app: AppRecord, volume: Volume, layer: Path) -> Path:
    kind = volume.kind.lower()
    if kind == "azurefile":
        return _share(store, folder, app, volume)
    place = layer / "volumes" / volume.name
    place.mkdir(parents=True, exist_ok=True)
    if kind == "secret":
        for entry in volume.secrets or [SecretFile(name, name) for name in app.secrets]:
            file = place / Path(entry.path).name
            file.touch(mode=0o600)
            file.write_text(app.secrets.get(entry.secret, ""))
    elif kind != "emptydir":
        raise Unmountable(f"volume '{volume.name}': storage type '{volume.kind}' is not available here")
    return place


def _share(store: Store, folder: Path, app: AppRecord, volume: Volume) -> Path:
    storage = store.get(f"{app.environment}/storages/{volume.storage}")
    if storage is None:
        raise Unmountable(f"the storage '{volume.storage}' is not defined in the environment")
    azure = member(storage.properties, "azureFile")
    account_name, share = str(azure.get("accountName")), str(azure.get("shareName"))
    source = f"//{account_name}.file.core.windows.net/{share}"
    account = find_account(store, account_name)
    if account is None:
        raise Unmountable(_mount_error(f"mount error: could not resolve address for {source}"))
    if not takes_shared_keys(account) or _mount_key(storage) not in account_keys(account).values():
        # What mount.cifs says both for a wrong key and where the account allows no shared key at all.
        raise Unmountable(_mount_error("mount error(13): Permission denied"))
    if azure.get("accessMode") == "ReadOnly" and "rw" in volume.options:
        raise Unmountable(_mount_error("mount error(13): Permission denied"))  # word for word as with a wrong key
    if store.get(share_id(account, share)) is None:
        raise Unmountable(_mount_error("mount error(2): No such file or directory"))
    return share_folder(folder, account.name, share)


def _mount_key(storage: Resource) -> str | None:
    """The account key that it mounts with: the one that it was given, but for the bug of a renewed one (`stuck_keys`)."""
    return storage.private.get("mountKey", storage.private.get("accountKey"))


def _mount_error(text: str) -> str:
    return f"StatusCode = 32 StdErr = {text}\nRefer to the mount.cifs(8) manual page (e.g. man mount.cifs)"
