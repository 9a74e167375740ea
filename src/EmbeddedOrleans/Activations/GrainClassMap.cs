using System.Reflection;
using Orleans;
using Orleans.Runtime;

namespace Krewe.EmbeddedOrleans;

/// <summary>All grain classes of the given assemblies, by interface and by grain type.</summary>
internal sealed class GrainClassMap
{
    private readonly Dictionary<GrainType, GrainClass> _byType = [];
    private readonly ILookup<Type, GrainClass> _byInterface;

    /// <exception cref="ArgumentException">A class or an interface that cannot work; names all of them.</exception>
    public GrainClassMap(IEnumerable<Assembly> assemblies)
    {
        List<string> errors = [];
        List<GrainClass> classes = [];
        foreach (var type in assemblies.Distinct().SelectMany(assembly => assembly.GetTypes()).Where(IsGrainClass))
            Collect(type, classes, errors);

        _byInterface = classes
            .SelectMany(c => c.Interfaces.Select(i => (Interface: i, Class: c)))
            .ToLookup(pair => pair.Interface, pair => pair.Class);
        foreach (var pair in _byInterface)
            errors.AddRange(InterfaceShape.ErrorsOf(pair.Key));
        if (errors.Count > 0)
            throw new ArgumentException(string.Join(Environment.NewLine, errors.Distinct()));
    }

    /// <exception cref="ArgumentException">No class implements the interface, or more than one does.</exception>
    public GrainClass Find(Type interfaceType, string? classNamePrefix)
    {
        GrainClass[] found =
        [
            .. _byInterface[interfaceType].Where(c => classNamePrefix is null
                || c.Type.FullName!.StartsWith(classNamePrefix, StringComparison.Ordinal)),
        ];
        return found switch
        {
            [var only] => only,
            [] => throw new ArgumentException(
                $"No grain class implements {interfaceType.FullName}. Add the class's assembly to "
                + $"{nameof(EmbeddedOrleansOptions)}.{nameof(EmbeddedOrleansOptions.GrainAssemblies)}."),
            _ => throw new ArgumentException(
                $"{interfaceType.FullName} is implemented by {string.Join(", ", found.Select(c => c.Type.FullName))}: "
                + "say which with grainClassNamePrefix."),
        };
    }

    /// <exception cref="ArgumentException">No such grain type.</exception>
    public GrainClass Find(GrainType type) => _byType.TryGetValue(type, out var found)
        ? found
        : throw new ArgumentException($"No grain class has the grain type '{type}'.");

    private static bool IsGrainClass(Type type) =>
        type is { IsClass: true, IsAbstract: false, IsGenericTypeDefinition: false }
        && typeof(IGrainWithStringKey).IsAssignableFrom(type)
        && typeof(IGrainBase).IsAssignableFrom(type);

    private void Collect(Type type, List<GrainClass> classes, List<string> errors)
    {
        try
        {
            var grainClass = new GrainClass(type);
            classes.Add(grainClass);
            if (!_byType.TryAdd(grainClass.GrainType, grainClass))
                errors.Add(
                    $"{type.FullName} and {_byType[grainClass.GrainType].Type.FullName} both have the grain type "
                    + $"'{grainClass.GrainType}': rename one.");
        }
        catch (ArgumentException error)
        {
            errors.Add(error.Message);
        }
    }
}
