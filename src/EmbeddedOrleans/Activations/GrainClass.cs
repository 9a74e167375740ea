using System.Collections.Concurrent;
using System.Reflection;
using Microsoft.Extensions.DependencyInjection;
using Orleans;
using Orleans.Concurrency;
using Orleans.Runtime;

namespace Krewe.EmbeddedOrleans;

/// <summary>What the host knows of one grain class: attributes, constructor, implementing methods.</summary>
internal sealed class GrainClass
{
    private readonly ConcurrentDictionary<MethodInfo, MethodInfo> _implementations = new();
    private readonly ConstructorInvoker _constructor;
    private readonly Func<Activation, IServiceProvider, List<IStoredState>, object>[] _arguments;

    public GrainClass(Type type)
    {
        Type = type;
        GrainType = GrainType.Create(NameOf(type));
        IsReentrant = type.IsDefined(typeof(ReentrantAttribute), inherit: true);
        WorkersMax = type.GetCustomAttribute<StatelessWorkerAttribute>(inherit: true)?.WorkersMax;
        Interfaces = [.. type.GetInterfaces().Where(IsGrainInterface)];

        var constructor = ConstructorOf(type);
        _constructor = ConstructorInvoker.Create(constructor);
        _arguments = [.. constructor.GetParameters().Select(Resolver)];
    }

    public Type Type { get; }

    public GrainType GrainType { get; }

    public bool IsReentrant { get; }

    /// <summary>Activations of one identity that may live at once; null for an ordinary grain, which has one.</summary>
    public int? WorkersMax { get; }

    public IReadOnlyList<Type> Interfaces { get; }

    public static bool IsGrainInterface(Type type) =>
        type.IsInterface && type != typeof(IGrain) && type != typeof(IGrainWithStringKey)
        && typeof(IGrain).IsAssignableFrom(type);

    /// <summary>Runs the constructor. The states it was given are added to <paramref name="states"/>, unread.</summary>
    public object Create(Activation activation, List<IStoredState> states)
    {
        var services = activation.ActivationServices;
        var arguments = new object?[_arguments.Length];
        for (var i = 0; i < arguments.Length; i++)
            arguments[i] = _arguments[i](activation, services, states);
        return _constructor.Invoke(arguments.AsSpan());
    }

    public MethodInfo ImplementationOf(MethodInfo interfaceMethod) =>
        _implementations.GetOrAdd(interfaceMethod, static (method, type) =>
        {
            var map = type.GetInterfaceMap(method.DeclaringType!);
            return map.TargetMethods[Array.IndexOf(map.InterfaceMethods, method)];
        }, Type);

    private static string NameOf(Type type)
    {
        const string Suffix = "Grain";
        var name = type.Name;
        if (name.Length > Suffix.Length && name.EndsWith(Suffix, StringComparison.Ordinal))
            name = name[..^Suffix.Length];
        return name.ToLowerInvariant();
    }

    private static ConstructorInfo ConstructorOf(Type type)
    {
        var constructors = type.GetConstructors();
        return constructors.Length == 1
            ? constructors[0]
            : constructors.SingleOrDefault(c => c.IsDefined(typeof(ActivatorUtilitiesConstructorAttribute)))
                ?? throw new ArgumentException(
                    $"{type.FullName} has {constructors.Length} public constructors: give it one, or mark one with "
                    + "[ActivatorUtilitiesConstructor].");
    }

    private static Func<Activation, IServiceProvider, List<IStoredState>, object> Resolver(ParameterInfo parameter)
    {
        var type = parameter.ParameterType;
        if (type == typeof(IGrainContext))
            return static (activation, _, _) => activation;
        if (parameter.GetCustomAttribute<PersistentStateAttribute>() is not { } state)
            return (_, services, _) => services.GetRequiredService(type);

        if (!type.IsGenericType || type.GetGenericTypeDefinition() != typeof(IPersistentState<>))
            throw new ArgumentException(
                $"{parameter.Member.DeclaringType}: [PersistentState] stands on '{parameter.Name}', which must be an "
                + $"IPersistentState<T> and is {type}.");
        var create = ConstructorInvoker.Create(
            typeof(PersistentState<>).MakeGenericType(type.GenericTypeArguments).GetConstructors()[0]);
        return (activation, _, states) =>
        {
            var key = new StateKey(activation.GrainId, state.StateName, state.StorageName ?? StateKey.DefaultStorage);
            var stored = create.Invoke(activation.Host.Store, key);
            states.Add((IStoredState)stored);
            return stored;
        };
    }
}
