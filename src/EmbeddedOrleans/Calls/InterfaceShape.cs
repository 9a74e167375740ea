using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Reflection;
using Orleans;
using Orleans.Concurrency;
using Orleans.Runtime;

namespace Krewe.EmbeddedOrleans;

/// <summary>One interface's methods, examined once, and the prototype of its references.</summary>
internal sealed class InterfaceShape
{
    private static readonly ConcurrentDictionary<Type, InterfaceShape> Shapes = new();
    private readonly FrozenDictionary<MethodInfo, GrainMethod> _methods;
    private readonly GrainProxy _prototype;

    private InterfaceShape(Type type)
    {
        if (ErrorsOf(type) is { Count: > 0 } errors)
            throw new ArgumentException(string.Join(Environment.NewLine, errors));
        Type = type;
        _methods = MethodsOf(type).ToFrozenDictionary(method => method, GrainMethod.Of);
        _prototype = (GrainProxy)DispatchProxy.Create(type, typeof(GrainProxy));
    }

    public Type Type { get; }

    /// <exception cref="ArgumentException">The interface cannot be called through a reference; says why.</exception>
    public static InterfaceShape Of(Type type) => Shapes.GetOrAdd(type, static t => new InterfaceShape(t));

    public GrainMethod this[MethodInfo method] => _methods[method];

    public GrainProxy NewProxy(EmbeddedGrainFactory factory, ICallRouter router, GrainId id) =>
        _prototype.CopyFor(this, factory, router, id);

    /// <summary>What keeps an interface from being called; empty if nothing does.</summary>
    public static IReadOnlyList<string> ErrorsOf(Type type)
    {
        if (!type.IsInterface || !typeof(IAddressable).IsAssignableFrom(type))
            return [$"{type} is not a grain or observer interface."];
        var isObserver = typeof(IGrainObserver).IsAssignableFrom(type);
        return [.. MethodsOf(type).Select(method => ErrorOf(method, isObserver)).OfType<string>()];
    }

    private static string? ErrorOf(MethodInfo method, bool isObserver)
    {
        var name = $"{method.DeclaringType!.FullName}.{method.Name}";
        var parameters = method.GetParameters();
        if (method.IsGenericMethod)
            return $"{name} is generic: only generic types, not methods, can be told apart when they are called.";
        if (parameters.Any(p => p.ParameterType.IsByRef || p.ParameterType.IsByRefLike))
            return $"{name} has a parameter that is passed by reference: a call only carries values.";
        if (parameters.Count(p => p.ParameterType == typeof(CancellationToken)) > 1)
            return $"{name} has more than one CancellationToken: a call has one cancellation.";
        if (!GrainMethod.CanReturn(method.ReturnType) || (method.ReturnType == typeof(void) && !isObserver))
            return $"{name} returns {method.ReturnType}: it must return Task, Task<T>, ValueTask or ValueTask<T>"
                + (isObserver ? " or void." : ".");
        return method.IsDefined(typeof(OneWayAttribute)) && method.ReturnType.IsGenericType
            ? $"{name} is [OneWay] and returns a result, which nobody would wait for."
            : null;
    }

    private static IEnumerable<MethodInfo> MethodsOf(Type type) =>
        type.GetInterfaces().Append(type).SelectMany(i => i.GetMethods()).Where(method => !method.IsStatic);
}
