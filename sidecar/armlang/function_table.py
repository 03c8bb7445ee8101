"""The one table of template functions: what each takes and gives, and where it may stand.

Checker, emitter and evaluator read it; a new function is one row. A row is `name signature result; signature result`:
a signature's parameters are `type name`, with `?` after one that may be left out and `...` after one that repeats. A type
is alternatives joined by `|`; `[]` after it makes an array of it; `lambda(any[, int]) bool` is a lambda, the brackets
holding what it may leave out. A signature whose result is `scope` is Bicep's alone, for the place of a resource or module.
After a bar stand, where Bicep has one of its own for the name, the diagnostic and what to write instead. Headings say the
namespace, who knows the rows below, and where they may stand.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

Where = Literal["anywhere", "default", "runtime", "parameters file"]
"""anywhere; only in a parameter's default; only where a resource may be read (not in a variable, a name, a condition or a
loop's count); only in a parameters file."""
Made = Literal["both", "template", "compiler"]
"""Who knows it: Bicep and the template language; only the template language; only the compiler (nothing of it is left)."""
Space = Literal["sys", "az"]
Arity = tuple[int, int | None]
"""Fewest and most; None: as many as one likes."""


@dataclass(frozen=True)
class Lambda:
    """What a lambda takes (fewest and most parameters) and gives."""

    fewest: int
    most: int
    result: str


@dataclass(frozen=True)
class Parameter:
    """One parameter. `types` are alternatives of string, int, bool, array, object, null, any, or `X[]` for X one of them."""

    name: str
    types: tuple[str, ...]
    optional: bool = False
    repeated: bool = False
    lambda_: Lambda | None = None


@dataclass(frozen=True)
class Signature:
    parameters: tuple[Parameter, ...]
    result: str

    @property
    def fewest(self) -> int:
        return sum(not each.optional for each in self.parameters)

    @property
    def most(self) -> int | None:
        """None: as many as one likes."""
        return None if any(each.repeated for each in self.parameters) else len(self.parameters)


def _arity(signatures: Sequence[Signature]) -> Arity:
    ends = [each.most for each in signatures]
    return min(each.fewest for each in signatures), None if None in ends else max(end or 0 for end in ends)


@dataclass(frozen=True)
class Function:
    name: str
    signatures: tuple[Signature, ...]
    where: Where = "anywhere"
    made: Made = "both"
    space: Space = "sys"
    code: str = ""
    """For one that Bicep has not: the official diagnostic that says what to write in its place."""
    instead: str = ""

    @property
    def arity(self) -> Arity:
        return _arity(self.signatures)

    @property
    def in_templates(self) -> Arity:
        """How many arguments the template language gives it."""
        return _arity([each for each in self.signatures if each.result != "scope"])

    def types_at(self, place: int) -> tuple[str, ...]:
        """The types that any signature takes at this place."""
        found: dict[str, None] = {}
        for each in self.signatures:
            own = each.parameters
            if own and (place < len(own) or own[-1].repeated):
                found |= dict.fromkeys(own[min(place, len(own) - 1)].types)
        return tuple(found)


_TABLE = """
# sys, compiler, anywhere
any(any value) any
loadDirectoryFileInfo(string path, string? pattern) array
loadFileAsBase64(string path) string
loadJsonContent(string path, string? jsonPath, string? encoding) any
loadTextContent(string path, string? encoding) string
loadYamlContent(string path, string? yamlPath, string? encoding) any
nameof(any symbol) string
# sys, both, anywhere
array(any value) array
base64(string input) string
base64ToJson(string base64Value) any
base64ToString(string base64Value) string
bool(any value) bool
buildUri(object components) string
cidrHost(string network, int hostIndex) string
cidrSubnet(string network, int cidr, int subnetIndex) string
concat(array... arrays) array; (string|int|bool... values) string
contains(object object, string key) bool; (array array, any item) bool; (string string, string part) bool
dataUri(any value) string
dataUriToString(string value) string
dateTimeAdd(string base, string duration, string? format) string
dateTimeFromEpoch(int epochTime) string
dateTimeToEpoch(string dateTime) int
distinct(array array) array
empty(null|object|array|string value) bool
endsWith(string text, string end) bool
fail(string message) any
filter(array array, lambda(any[, int]) bool predicate) array
first(array array) any; (string text) string
flatten(array[] arrays) array
format(string pattern, any...? values) string
groupBy(array array, lambda(any) string key, lambda(any)? any value) object
guid(string... values) string
indexOf(string text, string part) int; (array array, any item) int
int(int|string value) int
intersection(object, object... objects) object; (array, array... arrays) array
items(object object) array
join((string|int|bool)[] values, string delimiter) string
json(string json) any
last(array array) any; (string text) string
lastIndexOf(string text, string part) int; (array array, any item) int
length(string|object|array value) int
like(string text, string pattern) bool
map(array array, lambda(any[, int]) any function) array
mapValues(object object, lambda(any) any function) object
max(int... values) int; (int[] values) int
min(int... values) int; (int[] values) int
objectKeys(object object) array
padLeft(int|string value, int totalWidth, string? character) string
parseCidr(string network) object
parseUri(string uri) object
range(int start, int count) array
reduce(array array, any initial, lambda(any, any[, int]) any function) any
replace(string text, string old, string new) string
shallowMerge(object[] objects) object
skip(array array, int count) array; (string text, int count) string
sort(array array, lambda(any, any) bool before) array
split(string text, string|string[] delimiter) array
startsWith(string text, string start) bool
string(any value) string
substring(string text, int start, int? length) string
take(array array, int count) array; (string text, int count) string
toLower(string text) string
toObject(array array, lambda(any) string key, lambda(any)? any value) object
toUpper(string text) string
trim(string text) string
union(object, object... objects) object; (array, array... arrays) array
uniqueString(string... values) string
uri(string base, string relative) string
uriComponent(string text) string
uriComponentToString(string text) string
# sys, both, default
newGuid() string
utcNow(string? format) string
# sys, compiler, parameters file
externalInput(string kind, any? options) any
readCliArg(string name) string
readEnvironmentVariable(string name, string? default) string
# az, both, anywhere
deployer() object
deployment() object
environment() object
extensionResourceId(string scope, string type, string... names) string
managementGroup() object; (string name) scope
managementGroupResourceId(string typeOrGroup, string... names) string
pickZones(string namespace, string type, string location, int? count, int? offset) array
providers(string namespace, string? type) object
resourceGroup() object; (string name) scope; (string subscriptionId, string name) scope
resourceId(string typeOrScope, string... names) string
subscription() object; (string id) scope
subscriptionResourceId(string typeOrScope, string... names) string
tenant() object
tenantResourceId(string type, string... names) string
toLogicalZone(string subscriptionId, string location, string physicalZone) string
toLogicalZones(string subscriptionId, string location, array physicalZones) array
toPhysicalZone(string subscriptionId, string location, string logicalZone) string
toPhysicalZones(string subscriptionId, string location, array logicalZones) array
# az, both, runtime
list*(string resource, string? apiVersion, any? body, any? options) any
reference(string resource, string? apiVersion, string? full) any
# az, compiler, parameters file
getSecret(string subscriptionId, string group, string vault, string secret, string? version) string
# sys, template, anywhere
add(int a, int b) int | BCP069 +
and(any... values) bool | BCP069 &&
coalesce(any... values) any | BCP069 ??
copyIndex(any? loopOrOffset, any? offset) int
createArray(any...? items) array | BCP101 []
createObject(any...? keysAndValues) object | BCP102 {}
div(int a, int b) int | BCP069 /
equals(any a, any b) bool | BCP069 ==
false() bool
float(any value) any
greater(any a, any b) bool | BCP069 >
greaterOrEquals(any a, any b) bool | BCP069 >=
if(any condition, any yes, any no) any | BCP100 ?:
indexFromEnd(array array, int index) any
lambda(any... namesAndBody) any
lambdaVariables(string name) any
less(any a, any b) bool | BCP069 <
lessOrEquals(any a, any b) bool | BCP069 <=
mod(int a, int b) int | BCP069 %
mul(int a, int b) int | BCP069 *
not(bool value) bool | BCP069 !
null() any
or(any... values) bool | BCP069 ||
parameters(string name) any | BCP061
sub(int a, int b) int | BCP069 -
true() bool
tryGet(any value, any... keys) any
tryIndexFromEnd(any array, int index) any
variables(string name) any | BCP060
# az, template, runtime
references(string loop, string? full) array
sharedKeys(string resource, string? apiVersion, any? body) any
"""

_LAMBDA = re.compile(r"lambda\((?P<takes>[^)]*)\)(?P<optional>\??) (?P<result>\w+) (?P<name>\w+)")
_PLAIN = re.compile(r"(?P<types>\([\w|]+\)\[\]|[\w|\[\]]+)(?P<marks>[.?]*)(?: (?P<name>\w+))?")

_COMMAS = re.compile(r"(?:[^,(]|\([^)]*\))+")


def _parameter(text: str) -> Parameter:
    if found := _LAMBDA.fullmatch(text):
        takes = found["takes"]
        most = takes.count(",") + 1
        wanted = Lambda(most - takes.count("["), most, found["result"])
        return Parameter(found["name"], ("lambda",), bool(found["optional"]), lambda_=wanted)
    found = _PLAIN.fullmatch(text)
    if not found:
        raise ValueError(f"the function table has a parameter that can't be read: {text!r}")
    types = found["types"]
    each = (types,) if types.startswith("(") else tuple(types.split("|"))
    return Parameter(found["name"] or types, each, "?" in found["marks"], "..." in found["marks"])


def _signature(text: str) -> Signature:
    stated, _, result = text.rpartition(") ")
    inside = stated.partition("(")[2]
    return Signature(tuple(_parameter(each.strip()) for each in _COMMAS.findall(inside)), result)


def _rows() -> Iterator[Function]:
    space, made, where = "", "", ""
    for line in _TABLE.strip().splitlines():
        if line.startswith("# "):
            space, made, where = line.removeprefix("# ").split(", ")
            continue
        stated, _, told = line.partition(" | ")
        code, _, instead = told.partition(" ")
        signatures = tuple(_signature(each) for each in stated.split("; "))
        kinds = cast("tuple[Where, Made, Space]", (where, made, space))
        yield Function(stated.partition("(")[0], signatures, *kinds, code, instead)


ROWS: tuple[Function, ...] = tuple(_rows())
TABLE: Mapping[str, Function] = {each.name.lower(): each for each in ROWS}


def function_named(name: str) -> Function | None:
    """The row of a template's function, whatever its case; every list… function of a provider shares one."""
    lowered = name.lower()
    return TABLE.get(lowered) or (TABLE["list*"] if re.fullmatch(r"list\w*", lowered) else None)


def bicep_function(name: str) -> Function | None:
    """The row of a function that Bicep has, by its exact name."""
    found = function_named(name)
    if found is None or found.made == "template":
        return None
    return found if found.name == name or (found.name == "list*" and name[:4] == "list") else None


def arity_problem(name: str, given: int, arity: Arity) -> str | None:
    """ARM's sentence where a function is given too few or too many arguments."""
    fewest, most = arity
    if given >= fewest and (most is None or given <= most):
        return None
    wanted = str(fewest) if fewest == most else f"{fewest} to {most}" if most is not None else f"at least {fewest}"
    return (
        f"Unable to evaluate template language function '{name}': function requires {wanted} argument(s) while {given} were "
        f"provided. Please see https://aka.ms/arm-functions/#{name} for usage details."
    )
