using System.Reflection;
using Orleans;
using Orleans.Runtime;

namespace Krewe.EmbeddedOrleans;

/// <summary>Walks one call through the filters and into the grain.</summary>
internal sealed class IncomingCallContext : IIncomingGrainCallContext
{
    private readonly GrainCall _call;
    private readonly GrainMethod _method;
    private readonly Activation _activation;
    private readonly IReadOnlyList<IIncomingGrainCallFilter> _filters;
    private readonly Func<Task<object?>> _callGrain;
    private int _next;

    private IncomingCallContext(
        GrainCall call,
        GrainMethod method,
        Activation activation,
        IReadOnlyList<IIncomingGrainCallFilter> filters,
        Func<Task<object?>> callGrain)
    {
        _call = call;
        _method = method;
        _activation = activation;
        _filters = filters;
        _callGrain = callGrain;
    }

    public object Grain => _activation.GrainInstance!;

    public MethodInfo InterfaceMethod => _method.Method;

    public MethodInfo ImplementationMethod => _activation.Class.ImplementationOf(_method.Method);

    public string InterfaceName => _method.Method.DeclaringType!.FullName!;

    public string MethodName => _method.Method.Name;

    public object? Result { get; set; }

    public GrainId? SourceId => _call.SourceId;

    public GrainId TargetId => _call.TargetId;

    public IGrainContext TargetContext => _activation;

    public static async Task<T> RunAsync<T>(
        GrainCall call,
        GrainMethod<T> method,
        Activation activation,
        IReadOnlyList<IIncomingGrainCallFilter> filters,
        object?[] arguments)
    {
        var context = new IncomingCallContext(call, method, activation, filters, CallGrainAsync);
        await context.Invoke();
        return context.Result switch
        {
            T result => result,
            null => default!,
            _ => throw new InvalidCastException(
                $"A filter replaced the result of {call.Describe()}, a {typeof(T)}, by a {context.Result.GetType()}."),
        };

        async Task<object?> CallGrainAsync()
        {
            var result = await method.Run(activation.GrainInstance!, arguments);
            return result is Nothing ? null : result;
        }
    }

    public async Task Invoke()
    {
        var position = _next++;
        if (position < _filters.Count)
            await _filters[position].Invoke(this);
        else if (position == _filters.Count)
            Result = await _callGrain();
        else
            throw new InvalidOperationException($"A filter invoked {_call.Describe()} twice: await Invoke() once.");
    }
}
