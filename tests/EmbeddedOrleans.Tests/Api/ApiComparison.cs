using System.Reflection;

namespace Krewe.EmbeddedOrleans.Tests.Api;

/// <summary>Says where a type of ours is not a subset of the published one of the same name.</summary>
internal static class ApiComparison
{
    private const BindingFlags Declared = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance
        | BindingFlags.Static | BindingFlags.DeclaredOnly;

    /// <summary>Empty if whatever compiles against ours compiles against theirs.</summary>
    public static IEnumerable<string> Differences(Type ours, Type theirs)
    {
        var signature = new ApiSignature();
        foreach (var (aspect, our, their) in Aspects(signature, ours, theirs).Where(a => a.Ours != a.Theirs))
            yield return $"{ours.FullName}: {aspect} is '{our}' here and '{their}' there";

        var bases = SelfAndBases(theirs).Skip(1).Select(signature.NameOf).ToHashSet();
        if (ours.BaseType is { } parent && !bases.Contains(signature.NameOf(parent)))
            yield return $"{ours.FullName}: base {signature.NameOf(parent)} is not among {string.Join(", ", bases)}";

        var interfaces = theirs.GetInterfaces().Select(signature.NameOf).ToHashSet();
        foreach (var type in ours.GetInterfaces().Select(signature.NameOf).Where(type => !interfaces.Contains(type)))
            yield return $"{ours.FullName}: interface {type} is not implemented there";

        var members = SelfAndBases(theirs).SelectMany(type => Members(signature, type)).ToHashSet();
        foreach (var member in Members(signature, ours).Where(member => !members.Contains(member)))
        {
            var name = member.Split('(')[0].Split(' ')[^1].Split('<')[0];
            var near = members.Where(candidate => candidate.Contains($" {name}", StringComparison.Ordinal));
            yield return $"{ours.FullName}: '{member}' is not there; there is: {string.Join(" | ", near)}";
        }
    }

    private static IEnumerable<(string Aspect, string Ours, string Theirs)> Aspects(
        ApiSignature signature, Type ours, Type theirs)
    {
        yield return ("kind", KindOf(ours), KindOf(theirs));
        yield return ("generic parameters", Generics(ours), Generics(theirs));
        yield return ("attribute usage", UsageOf(ours), UsageOf(theirs));

        string Generics(Type type) =>
            signature.GenericParameters(type.GetGenericArguments(), type.IsGenericTypeDefinition);
    }

    private static string KindOf(Type type)
    {
        if (type.IsEnum)
            return $"enum of {type.GetEnumUnderlyingType().Name}";
        if (type.IsInterface || type.IsValueType)
            return type.IsInterface ? "interface" : "struct";
        return $"{(type.IsAbstract ? "abstract " : "")}{(type.IsSealed ? "sealed " : "")}class";
    }

    private static string UsageOf(Type type)
    {
        var usage = SelfAndBases(type)
            .SelectMany(t => t.GetCustomAttributesData())
            .FirstOrDefault(data => data.AttributeType.FullName == typeof(AttributeUsageAttribute).FullName);
        if (usage is null)
            return "none";
        // Both have defaults, so that spelling one out changes nothing.
        var named = usage.NamedArguments.ToDictionary(a => a.MemberName, a => a.TypedValue.Value);
        return $"{(AttributeTargets)(int)usage.ConstructorArguments[0].Value!}, "
            + $"multiple: {named.GetValueOrDefault("AllowMultiple", false)}, "
            + $"inherited: {named.GetValueOrDefault("Inherited", true)}";
    }

    private static IEnumerable<Type> SelfAndBases(Type type)
    {
        for (var current = type; current is not null; current = current.BaseType)
            yield return current;
    }

    private static IEnumerable<string> Members(ApiSignature signature, Type type)
    {
        if (type.IsEnum)
            return type.GetFields(BindingFlags.Public | BindingFlags.Static)
                .Select(field => $"member {field.Name} = {field.GetRawConstantValue()}");
        var methods = type.GetMethods(Declared).Where(ApiSignature.IsVisible).Select(signature.Of);
        var constructors = type.GetConstructors(Declared)
            .Where(constructor => !constructor.IsStatic && ApiSignature.IsVisible(constructor))
            .Select(signature.Of);
        var fields = type.GetFields(Declared).Where(field => field.IsPublic || field.IsFamily).Select(signature.Of);
        var properties = type.GetProperties(Declared)
            .Where(property => property.GetAccessors(nonPublic: true).Any(ApiSignature.IsVisible))
            .Select(signature.Of);
        return [.. methods, .. constructors, .. fields, .. properties];
    }
}
