using System.Reflection;
using System.Runtime.CompilerServices;

namespace Krewe.EmbeddedOrleans.Tests.Api;

/// <summary>Writes a member down so that two assemblies' members are equal exactly if source code cannot tell them
/// apart: names of parameters and default values count, nullability counts, attributes of no effect do not.</summary>
internal sealed class ApiSignature
{
    private readonly NullabilityInfoContext _nullability = new();

    public static bool IsVisible(MethodBase method) =>
        method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly;

    public string Of(MethodInfo method) => string.Join(
        ' ',
        Access(method),
        method.IsStatic ? "static" : Dispatch(method),
        Of(method.ReturnParameter),
        $"{method.Name}{GenericParameters(method.GetGenericArguments(), method.IsGenericMethodDefinition)}"
        + $"({Parameters(method)})");

    public string Of(ConstructorInfo constructor) => $"{Access(constructor)} .ctor({Parameters(constructor)})";

    public string Of(FieldInfo field) =>
        $"field {(field.IsStatic ? "static " : "")}{(field.IsInitOnly ? "readonly " : "")}{NameOf(field.FieldType)} "
        + field.Name;

    public string Of(PropertyInfo property)
    {
        var required = Has(property, nameof(RequiredMemberAttribute)) ? "required " : "";
        return $"property {required}{NameOf(property.PropertyType)} {property.Name}";
    }

    public string NameOf(Type type)
    {
        if (type.IsGenericParameter)
            return $"{(type.DeclaringMethod is null ? "!" : "!!")}{type.GenericParameterPosition}";
        if (type.HasElementType)
            return NameOf(type.GetElementType()!) + (type.IsArray ? "[]" : type.IsByRef ? "&" : "*");
        var name = type.IsNested ? $"{NameOf(type.DeclaringType!)}+{type.Name}" : $"{type.Namespace}.{type.Name}";
        return type.IsGenericType
            ? $"{name}<{string.Join(", ", type.GetGenericArguments().Select(NameOf))}>"
            : name;
    }

    public string GenericParameters(Type[] parameters, bool isDefinition) => !isDefinition
        ? ""
        : $"<{string.Join(", ", parameters.Select(p =>
            $"{p.Name}: {p.GenericParameterAttributes} "
            + string.Join("&", p.GetGenericParameterConstraints().Select(NameOf).Order(StringComparer.Ordinal))))}>";

    private static string Access(MethodBase method) =>
        method.IsPublic ? "public" : method.IsFamily ? "protected" : "protected internal";

    // A method that merely implements an interface is marked virtual and final: nobody can override it.
    private static string Dispatch(MethodInfo method) =>
        method.IsAbstract ? "abstract" : method.IsVirtual && !method.IsFinal ? "virtual" : "instance";

    private static bool Has(MemberInfo member, string attribute) =>
        member.GetCustomAttributesData().Any(data => data.AttributeType.Name == attribute);

    private string Parameters(MethodBase method) => string.Join(", ", method.GetParameters().Select(
        p => $"{Of(p)} {p.Name}{(p.HasDefaultValue ? $" = {p.RawDefaultValue ?? "null"}" : "")}"));

    private string Of(ParameterInfo parameter)
    {
        var modifiers = parameter.GetRequiredCustomModifiers().Select(modifier => $"{modifier.Name} ");
        var nullability = Annotations(_nullability.Create(parameter));
        return $"{string.Concat(modifiers)}{NameOf(parameter.ParameterType)}{nullability}";
    }

    private static string Annotations(NullabilityInfo info)
    {
        var own = info.ReadState == NullabilityState.Nullable && !info.Type.IsValueType ? "?" : "";
        return own + string.Concat(info.GenericTypeArguments.Select((argument, i) =>
            Annotations(argument) is { Length: > 0 } inner ? $"[{i}{inner}]" : ""));
    }
}
