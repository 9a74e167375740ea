using System.Collections.Immutable;
using System.Reflection;
using System.Runtime.CompilerServices;
using Orleans;
using Orleans.Runtime;

namespace Krewe.Grains.Tests.Contracts;

/// <summary>
/// Walks every type that crosses a grain interface and names what Orleans could not carry to another silo, or could
/// share by mistake: types without serializer, members without number, anything that can change.
/// </summary>
internal sealed class SerializableChecker
{
    private static readonly HashSet<Type> Leaves =
    [
        typeof(string), typeof(decimal), typeof(DateTime), typeof(DateTimeOffset), typeof(TimeSpan), typeof(Guid),
        typeof(CancellationToken),
    ];

    /// <summary>Generic types that Orleans has codecs for and that cannot change.</summary>
    private static readonly HashSet<Type> ImmutableGenerics =
    [
        typeof(Nullable<>), typeof(ImmutableArray<>), typeof(ImmutableList<>), typeof(ImmutableHashSet<>),
        typeof(ImmutableDictionary<,>), typeof(ImmutableSortedDictionary<,>),
    ];

    private readonly HashSet<Type> _seen = [];

    public SortedSet<string> Errors { get; } = new(StringComparer.Ordinal);

    /// <summary>The types of ours that were walked.</summary>
    public IEnumerable<Type> Walked => _seen;

    public static IEnumerable<Type> GrainInterfaces(Assembly assembly) => assembly.GetTypes()
        .Where(type => type.IsInterface && typeof(IAddressable).IsAssignableFrom(type))
        .OrderBy(type => type.FullName, StringComparer.Ordinal);

    public SerializableChecker CheckInterface(Type grainInterface)
    {
        foreach (var method in grainInterface.GetMethods())
        {
            var where = $"{grainInterface.Name}.{method.Name}";
            Check(ResultOf(method, where), $"{where}'s result", mayChange: false);
            foreach (var parameter in method.GetParameters())
                Check(parameter.ParameterType, $"{where}({parameter.Name})", mayChange: false);
        }

        return this;
    }

    /// <param name="mayChange">True for states of grains, which storage copies.</param>
    public SerializableChecker Check(Type type, string where, bool mayChange)
    {
        if (type.IsPrimitive || type.IsEnum || type == typeof(void) || Leaves.Contains(type))
            return this;
        if (type.IsInterface && typeof(IAddressable).IsAssignableFrom(type))
            return this;
        if (type.IsGenericType && ImmutableGenerics.Contains(type.GetGenericTypeDefinition()))
        {
            foreach (var argument in type.GetGenericArguments())
                Check(argument, where, mayChange: false);
        }
        else if (type.GetCustomAttribute<GenerateSerializerAttribute>() is null)
            Errors.Add($"{where}: {type.Name} has no [GenerateSerializer] and is not known to be immutable");
        else if (_seen.Add(type))
            CheckMembers(type, mayChange);
        return this;
    }

    private Type ResultOf(MethodInfo method, string where)
    {
        var result = method.ReturnType;
        if (result == typeof(Task) || result == typeof(ValueTask) || result == typeof(void))
            return typeof(void);
        if (result.IsGenericType && result.GetGenericTypeDefinition() is var open
            && (open == typeof(Task<>) || open == typeof(ValueTask<>)))
            return result.GetGenericArguments()[0];
        Errors.Add($"{where} returns {result.Name}, which is no task");
        return typeof(void);
    }

    private void CheckMembers(Type type, bool mayChange)
    {
        if (!type.IsSealed)
            Errors.Add($"{type.Name} is not sealed: a derived type could cross unseen");
        if (!mayChange && !IsException(type) && type.GetCustomAttribute<ImmutableAttribute>() is null)
            Errors.Add($"{type.Name} is not [Immutable]: calls would copy it");

        var ids = new HashSet<uint>();
        foreach (var field in type.GetFields(
            BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly))
        {
            var property = PropertyOf(type, field);
            MemberInfo member = property is null ? field : property;
            var where = $"{type.Name}.{member.Name}";
            if (member.GetCustomAttribute<IdAttribute>() is not { } id)
                Errors.Add($"{where} has no [Id]");
            else if (!ids.Add(id.Id))
                Errors.Add($"{where} has the [Id] {id.Id} of another member");
            if (!mayChange && !IsFixed(field, property))
                Errors.Add($"{where} can be changed");
            Check(field.FieldType, where, mayChange: false);
        }

        if (type.BaseType is { } parent && parent != typeof(object) && parent != typeof(ValueType)
            && !IsException(type))
            Errors.Add($"{type.Name} derives from {parent.Name}, whose members are not checked");
    }

    private static bool IsException(Type type) => type.BaseType == typeof(Exception);

    private static PropertyInfo? PropertyOf(Type type, FieldInfo field) =>
        field.IsDefined(typeof(CompilerGeneratedAttribute)) && field.Name.StartsWith('<')
            ? type.GetProperty(
                field.Name[1..field.Name.IndexOf('>', StringComparison.Ordinal)],
                BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic)
            : null;

    private static bool IsFixed(FieldInfo field, PropertyInfo? property) =>
        field.IsInitOnly
        || property?.SetMethod?.ReturnParameter.GetRequiredCustomModifiers().Contains(typeof(IsExternalInit)) == true;
}
