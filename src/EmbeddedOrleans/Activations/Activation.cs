using Microsoft.Extensions.DependencyInjection;
using Orleans;
using Orleans.Runtime;

namespace Krewe.EmbeddedOrleans;

/// <summary>One live grain: its instance, its gate, its timers. Activates, serves, deactivates, once.</summary>
internal sealed partial class Activation : IGrainContext, ICallTarget
{
    private readonly GrainHost _host;
    private readonly IActivationOwner _owner;
    private readonly Lock _lock = new();
    private readonly HashSet<GrainTimer> _timers = [];
    private readonly TaskCompletionSource _deactivated = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private AsyncServiceScope? _scope;
    private object? _instance;
    private DeactivationReason? _reason;
    private long _lastUsed;
    private TimeSpan _keepFor = TimeSpan.Zero;
    private long _keepSince;

    public Activation(GrainHost host, IActivationOwner owner, GrainClass grainClass, GrainId id)
    {
        _host = host;
        _owner = owner;
        Class = grainClass;
        GrainId = id;
        Gate = new WorkGate(this, grainClass.IsReentrant);
        _lastUsed = _keepSince = host.Time.GetTimestamp();
    }

    public GrainId GrainId { get; }

    public GrainClass Class { get; }

    public WorkGate Gate { get; }

    public GrainHost Host => _host;

    public Task Deactivated => _deactivated.Task;

    public object? GrainInstance => _instance;

    public IServiceProvider ActivationServices => _scope?.ServiceProvider
        ?? throw new InvalidOperationException($"{GrainId} is no longer activated: its services are gone.");

    GrainId ICallTarget.TargetId => GrainId;

    object ICallTarget.Instance => _instance
        ?? throw new InvalidOperationException($"{GrainId} has no instance: it is not activated.");

    Activation? ICallTarget.Activation => this;

    public static Activation Of(IGrainContext context) => context as Activation
        ?? throw new NotSupportedException(
            $"{context.GetType().Name} is not a context of the embedded host, which alone can do this.");

    public bool Equals(IGrainContext? other) => ReferenceEquals(this, other);

    /// <summary>Notes use, which puts idle deactivation off.</summary>
    public void Touch() => Volatile.Write(ref _lastUsed, _host.Time.GetTimestamp());

    public void KeepFor(TimeSpan atLeast)
    {
        lock (_lock)
        {
            _keepFor = atLeast;
            _keepSince = _host.Time.GetTimestamp();
        }
    }

    public bool IsIdleFor(TimeSpan age)
    {
        lock (_lock)
            if (_keepFor > TimeSpan.Zero && _host.Time.GetElapsedTime(_keepSince) < _keepFor)
                return false;
        return Gate.IsQuiet && _host.Time.GetElapsedTime(Volatile.Read(ref _lastUsed)) >= age;
    }

    public IGrainTimer AddTimer(Func<CancellationToken, Task> callback, GrainTimerCreationOptions options)
    {
        var timer = new GrainTimer(this, callback, options);
        lock (_lock)
            _timers.Add(timer);
        timer.Change(options.DueTime, options.Period);
        return timer;
    }

    public void RemoveTimer(GrainTimer timer)
    {
        lock (_lock)
            _timers.Remove(timer);
    }
}
