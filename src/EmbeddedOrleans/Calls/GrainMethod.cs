using System.Reflection;
using Orleans.Concurrency;

namespace Krewe.EmbeddedOrleans;

/// <summary>One interface method: how it is called and how its result travels.</summary>
internal abstract class GrainMethod
{
    private readonly MethodInvoker _invoker;

    protected GrainMethod(MethodInfo method)
    {
        Method = method;
        _invoker = MethodInvoker.Create(method);
        Interleaves = method.IsDefined(typeof(AlwaysInterleaveAttribute));
        IsOneWay = method.ReturnType == typeof(void) || method.IsDefined(typeof(OneWayAttribute));
        TokenIndex = method.GetParameters()
            .FirstOrDefault(parameter => parameter.ParameterType == typeof(CancellationToken))?.Position;
    }

    public MethodInfo Method { get; }

    public bool Interleaves { get; }

    public bool IsOneWay { get; }

    /// <summary>Where its CancellationToken stands among the arguments.</summary>
    public int? TokenIndex { get; }

    public static GrainMethod Of(MethodInfo method)
    {
        var type = method.ReturnType;
        if (type == typeof(void))
            return new GrainMethod<Nothing>(method, static _ => Nothing.Task, static _ => null);
        if (type == typeof(Task))
            return new GrainMethod<Nothing>(method, static r => Nothing.After((Task)r!), static t => t);
        if (type == typeof(ValueTask))
            return new GrainMethod<Nothing>(
                method, static r => Nothing.After(((ValueTask)r!).AsTask()), static t => new ValueTask(t));

        var makerName = type.GetGenericTypeDefinition() == typeof(Task<>) ? nameof(OfTask) : nameof(OfValueTask);
        return (GrainMethod)typeof(GrainMethod)
            .GetMethod(makerName, BindingFlags.NonPublic | BindingFlags.Static)!
            .MakeGenericMethod(type.GenericTypeArguments)
            .Invoke(null, [method])!;
    }

    public static bool CanReturn(Type type) =>
        type == typeof(void) || type == typeof(Task) || type == typeof(ValueTask)
        || (type.IsGenericType
            && (type.GetGenericTypeDefinition() == typeof(Task<>)
                || type.GetGenericTypeDefinition() == typeof(ValueTask<>)));

    /// <summary>Sends a call and returns what the caller gets: of the method's own return type.</summary>
    public abstract object? Send(GrainProxy proxy, object?[] arguments);

    /// <summary>Calls the method on its target. Its own exceptions come as they are.</summary>
    protected object? Invoke(object target, object?[] arguments) => _invoker.Invoke(target, arguments.AsSpan());

    private static GrainMethod<T> OfTask<T>(MethodInfo method) =>
        new(method, static r => (Task<T>)r!, static t => t);

    private static GrainMethod<T> OfValueTask<T>(MethodInfo method) =>
        new(method, static r => ((ValueTask<T>)r!).AsTask(), static t => new ValueTask<T>(t));
}

/// <param name="toTask">From what the method returned.</param>
/// <param name="fromTask">To what the caller gets.</param>
internal sealed class GrainMethod<T>(MethodInfo method, Func<object?, Task<T>> toTask, Func<Task<T>, object?> fromTask)
    : GrainMethod(method)
{
    private static readonly Task<T> Done = Task.FromResult<T>(default!);

    public override object? Send(GrainProxy proxy, object?[] arguments)
    {
        var call = new GrainCall<T>(this, proxy, arguments);
        if (!call.TryBindCancellation())
            return fromTask(call.Outcome);
        proxy.Router.Route(call);
        return fromTask(IsOneWay ? Done : call.Outcome);
    }

    public Task<T> Run(object target, object?[] arguments)
    {
        try
        {
            return toTask(Invoke(target, arguments)) ?? throw new InvalidOperationException(
                $"{target.GetType().Name}.{Method.Name} returned null instead of a task.");
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            // Thrown before the first await: to the caller it is a failed call like any other.
            return Task.FromException<T>(error);
        }
    }
}

/// <summary>Result of a method that has none.</summary>
internal readonly struct Nothing
{
    public static readonly Task<Nothing> Task = System.Threading.Tasks.Task.FromResult(default(Nothing));

    public static Task<Nothing> After(Task task) => task.IsCompletedSuccessfully ? Task : AwaitAsync(task);

    private static async Task<Nothing> AwaitAsync(Task task)
    {
        await task;
        return default;
    }
}
