"""What is said of each mistake, in our own words, by Microsoft's code of it. A new diagnostic is a row.

`#word` after a code tells two sentences of one code apart; what begins with `#` has no code of Microsoft's."""

from __future__ import annotations

from collections.abc import Mapping

from sidecar.words.text import Text

OUTSIDE = "#outside"
MESSAGES: Mapping[str, Text] = {
    OUTSIDE: Text("Outside Slipway's compiler: {what}. The Bicep CLI compiles it."),
    "#encoding": Text("{path} is not {encoding} (line {line}): save it so."),
    "BCP001": Text("The character {character} is not known here."),
    "BCP001#hash": Text("Comments begin with //, not with #."),
    "BCP002": Text("This comment is not closed: */ is missing."),
    "BCP004": Text("This string is not closed: the quote at its end is missing."),
    "BCP004#hole": Text("This string has a hole that is not closed: the brace of ${ is missing."),
    "BCP006": Text(
        "{escape} is no escape: there are \\n, \\r, \\t, \\', \\\\, \\$ and \\u{…}; a backslash itself is \\\\."
    ),
    "BCP007": Text("{word} begins no declaration: there are param, var, resource, module, output."),
    "BCP007#parameters": Text("{word} begins nothing in a parameters file: there are using, param, var."),
    "BCP009": Text("A value is expected here."),
    "BCP009#comma": Text("Nothing follows this comma: take it out."),
    "BCP009#sign": Text("{sign} can't be repeated: put what it stands before in brackets."),
    "BCP010": Text("{number} is larger than a number of 64 bits."),
    "BCP012": Text("The word in is expected here."),
    "BCP012#loop": Text("A loop is expected here, as [for x in list: {…}]."),
    "BCP013": Text("A name is expected here."),
    "BCP018": Text("{mark} is expected here."),
    "BCP018#body": Text("A body in braces is expected here."),
    "BCP018#condition": Text("Only loops of resources and modules have a condition: here filter() leaves items out."),
    "BCP019": Text("A new line is expected here."),
    "BCP020": Text("The name of a property or a function is expected here."),
    "BCP020#number": Text("Bicep has no numbers with a fraction: write json('0.5')."),
    "BCP022": Text("The name of a property is expected here."),
    "BCP025": Text("{name} stands more than once in this object."),
    **dict.fromkeys(("BCP028", "BCP145"), Text("{name} is declared more than once: rename one, or take it out.")),
    "BCP029": Text("A resource's type is written as 'Microsoft.App/containerApps@2024-03-01'."),
    "BCP032": Text("Only what is written out can stand here."),
    "BCP033": Text("This is {given}, but {wanted} is expected."),
    "BCP034": Text("This item is {given}, but {wanted} is expected."),
    "BCP035": Text("{name} lacks what it needs: {missing}."),
    "BCP036": Text("This is {given}, but {wanted} is expected here."),
    "BCP037": Text("There can be no {name} here. There can be: {there}."),
    "BCP038": Text("A resource inside another has that one as its parent."),
    "BCP044": Text("{operator} needs {wanted}, but this is {given}."),
    "BCP045": Text("{operator} can't be used with {left} and {right}."),
    "BCP045#text": Text("Texts are put together with holes: '${a}${b}'."),
    "BCP046": Text("A condition is true or false, but this is {given}."),
    "BCP050": Text("The path is empty."),
    "BCP051": Text("{path} is an absolute path: state it relative to this file."),
    "BCP053": Text("There is no property {name} here. There are: {there}."),
    "BCP055": Text("{given} has no properties: only an object has."),
    "BCP057": Text("{name} is declared nowhere."),
    "BCP060": Text("Bicep has no function {name}: write the variable's name itself."),
    "BCP061": Text("Bicep has no function {name}: write the parameter's name itself."),
    "BCP063": Text("{name} is no parameter, variable, resource or module."),
    "BCP064": Text("{word} is not expected in a hole."),
    "BCP065": Text("{name} stands only in the default of a parameter."),
    "BCP068": Text("The type of the resource is expected here, as 'Microsoft.App/containerApps@2024-03-01'."),
    **dict.fromkeys(("BCP069", "BCP100", "BCP101", "BCP102"), Text("Bicep has no function {name}: write {instead}.")),
    "BCP070": Text("This is {given}, but {name} takes {wanted}."),
    "BCP071": Text("{name} takes {wanted} arguments, not {given}."),
    "BCP072": Text("A default can use other parameters only, not {name}."),
    "BCP073": Text("{name} can only be read, not set."),
    "BCP074": Text("An item of a list is found by its number, but this is {given}."),
    "BCP075": Text("A property is found by its name, but this is {given}."),
    "BCP076": Text("{given} has no items: only a list or an object has."),
    "BCP079": Text("{name} is made of itself."),
    "BCP080": Text("{name} and {other} need each other: a cycle can't be deployed."),
    "BCP082": Text("{name} is declared nowhere: did you mean {near}?"),
    "BCP083": Text("There is no property {name} here: did you mean {near}?"),
    "BCP084": Text("{name} is reserved: choose another name."),
    "BCP085": Text("The path holds a character that no path has."),
    "BCP087": Text("A list or an object can't stand in a hole: name it first."),
    "BCP091": Text("{path} can't be read: {why}"),
    "BCP097": Text("The path of a module is expected here, as 'modules/app.bicep'."),
    "BCP097#using": Text("The path of the template is expected here, as 'inference.bicep'."),
    "BCP261": Text("A parameters file states its template: using 'inference.bicep'."),
    "BCP338#variable": Text("The environment variable {variable} is not set."),
    "BCP338": Text("This can't be evaluated: {problem}"),
    "BCP338#hidden": Text("This can't be evaluated with what {variables} holds, which is not shown."),
    "BCP095": Text("{path} leads back to this file: modules can't name each other in a circle."),
    "BCP098": Text("Paths are written with /, not with \\."),
    "BCP099": Text("allowed needs one value at least."),
    "BCP103": Text("Bicep is no JSON: texts stand in single quotes ('…'), and no comma stands at the end of a line."),
    "BCP109": Text("{given} has no function {name}."),
    "BCP112": Text("targetScope is stated more than once."),
    "BCP121": Text("Another resource of this file has this type and name."),
    "BCP122": Text("Another module of this file has this name and scope."),
    "BCP123": Text("A decorator is written as @name(…)."),
    "BCP124": Text("The decorator {name} stands on {wanted} only."),
    "BCP126": Text("The decorator {name} can't stand on this declaration."),
    "BCP135": Text("Only a subscription holds resource groups: state scope: subscription(), or use a module there."),
    "BCP137": Text("A loop goes through a list, but this is {given}."),
    "BCP138": Text("A loop is the whole value of a variable or an output, or a property of a resource."),
    "BCP139": Text("A resource is deployed to the scope of its file: a module deploys to another."),
    "BCP140": Text("This multi-line string is not closed: ''' is missing."),
    "BCP142": Text("A property that is a loop can't hold another one: make the inner list a variable or a parameter."),
    "BCP154": Text("A batch has one resource at least."),
    "BCP155": Text("batchSize stands on loops of resources and modules only."),
    "BCP156": Text(
        "A resource inside another states its last part only, as 'fileServices' or 'fileServices@2023-05-01'."
    ),
    "BCP159": Text("{parent} declares no resource {name} inside."),
    "BCP164": Text("A child lies in its parent's scope: it has none of its own."),
    "BCP165": Text("The parent lies in another scope: a module deploys there."),
    "BCP166": Text("The decorator {name} stands here more than once."),
    "BCP168": Text("{name} can't be less than 0."),
    "BCP169": Text("This name needs {count} slashes, as many parts as the type has."),
    "BCP170": Text("The name of a child has no slash: its parent's name is put before it."),
    "BCP173": Text("{name} can't be set here: an existing resource is only referred to."),
    **dict.fromkeys(
        ("BCP120", "BCP177", "BCP178", "BCP181", "BCP182"),
        Text("Only a running deployment knows this, but {place} has to be known at its start."),
    ),
    "BCP176": Text("any() hides what {name} has to be: name the resource itself."),
    "BCP180": Text("getSecret stands only as the value of a module's secure parameter."),
    "BCP184": Text("{path} is larger than {most}, the most that is loaded."),
    "BCP186": Text("This text is no JSON."),
    "BCP186#file": Text("{path} is no JSON (line {line}): {problem}"),
    "BCP235": Text("{path} has nothing at {steps}."),
    "BCP236": Text("A new line or a comma is expected here."),
    "BCP237": Text("A comma or the closing bracket is expected here."),
    "BCP238": Text("A comma stands between items of one line only: at the end of a line there is none."),
    "BCP240": Text("parent names a resource of this file directly."),
    "BCP242": Text("A lambda stands only as the argument of a function."),
    "BCP243": Text("One expression is expected in brackets, and it has to begin on the same line."),
    "BCP247": Text("{name} of a lambda can't say which resource is meant."),
    "BCP248": Text("{name} of a lambda can't say which resource is asked."),
    "BCP265": Text("{name} is declared in this file and is no function: did you mean {fix}?"),
    "BCP279": Text("A type is expected here: string, int, bool, array or object."),
    "BCP292": Text("A declaration is expected behind this decorator."),
    "BCP302": Text("{word} is no type: there are string, int, bool, array and object."),
    "BCP311": Text("This list has {count} items: there is none at {number}."),
    "BCP323": Text("[? can't say which resource or module of a loop is meant: take the ? out."),
    "BCP326": Text("A parameter that may be null has no default: null is its default."),
    "BCP327": Text("{given} lies outside the limit {limit}."),
    "BCP331": Text("The least that is allowed ({given}) is above the most ({most})."),
    "BCP332": Text("The name of a module has 64 characters at most."),
    "BCP333": Text("The name of a module can't be empty."),
    "BCP340": Text("{path} is no YAML (line {line}): {problem}"),
    "BCP353": Text("{name} differs from another one only in case, which Azure does not tell apart: rename one."),
    "BCP396": Text("... needs {wanted} here, but this is {given}."),
    "BCP408": Text("nameof takes a name, or a property of one."),
    "BCP416": Text("The name of a module has letters, digits and - . _ ( ) only."),
    "no-unused-params": Text("Nobody uses the parameter {name}."),
    "no-unused-vars": Text("Nobody uses the variable {name}."),
    "no-unused-existing-resources": Text("Nobody uses the resource {name}."),
    "use-parent-property": Text("The name of {name} begins with that of {parent}: state parent: {parent} instead."),
    "use-resource-symbol-reference": Text("{function}() asks the resource {name} of this file: ask {name} itself."),
}
_OFFICIAL = {
    "BCP013": {"param": "BCP013", "var": "BCP015", "output": "BCP016", "resource": "BCP017", "module": "BCP096"},
    "BCP126": {"param": "BCP125", "var": "BCP126", "resource": "BCP127", "module": "BCP128", "output": "BCP129"},
}
"""Codes that depend on the word of the declaration."""


def message_of(key: str, args: Mapping[str, object]) -> Text:
    """`place` and `what` are phrases with holes of their own, of which the latter may have the former as one."""
    filled = dict(args)
    for phrase in ("place", "what"):
        if phrase in filled:
            filled[phrase] = Text.again(str(filled[phrase]), filled)
    return Text.again(MESSAGES[key].message, filled)


def code_of(key: str, word: str = "") -> str | None:
    code = key.partition("#")[0]
    return _OFFICIAL.get(code, {}).get(word, code) or None
