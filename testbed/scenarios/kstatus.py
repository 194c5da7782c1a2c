"""What kubectl, Flux, Argo CD and Helm make of a status: the rules of kstatus for custom resources."""


def kstatus(thing):
    """`Current`, `InProgress`, `Failed` or `Terminating`."""
    metadata, status = thing["metadata"], thing.get("status") or {}
    if metadata.get("deletionTimestamp"):
        return "Terminating"
    observed = status.get("observedGeneration")
    if observed is not None and observed != metadata["generation"]:
        return "InProgress"
    conditions = {condition["type"]: condition["status"] for condition in status.get("conditions") or ()}
    if conditions.get("Reconciling") == "True":
        return "InProgress"
    if conditions.get("Stalled") == "True":
        return "Failed"
    if conditions.get("Ready", "True") != "True":
        return "InProgress"
    return "Current"


def condition(thing, kind):
    """One condition of the object, or an empty one."""
    for one in (thing.get("status") or {}).get("conditions") or ():
        if one["type"] == kind:
            return one
    return {}
