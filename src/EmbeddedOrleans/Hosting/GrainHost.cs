using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Orleans;
using Orleans.Runtime;

namespace Krewe.EmbeddedOrleans;

/// <summary>What every part of the host shares.</summary>
internal sealed class GrainHost
{
    private readonly Lazy<IIncomingGrainCallFilter[]> _filters;
    private volatile HostStage _stage = HostStage.Running;

    public GrainHost(IServiceProvider services, EmbeddedOrleansOptions options, GrainClassMap classes)
    {
        Services = services;
        Options = options;
        Classes = classes;
        Time = services.GetRequiredService<TimeProvider>();
        Log = services.GetRequiredService<ILogger<GrainHost>>();
        ResponseTimeoutTicks = (long)(options.ResponseTimeout.TotalSeconds * Time.TimestampFrequency);
        Store = options.Storage switch
        {
            GrainStorage.Memory => new MemoryStateStore(),
            GrainStorage.Folder folder => new FolderStateStore(folder.Path),
            _ => throw new ArgumentException($"Unknown storage {options.Storage}.", nameof(options)),
        };
        Catalog = new GrainCatalog(this);
        Factory = new EmbeddedGrainFactory(this);
        // Late, because a filter may itself ask for IGrainFactory.
        _filters = new Lazy<IIncomingGrainCallFilter[]>(() => [.. services.GetServices<IIncomingGrainCallFilter>()]);
    }

    public IServiceProvider Services { get; }

    public EmbeddedOrleansOptions Options { get; }

    public GrainClassMap Classes { get; }

    public TimeProvider Time { get; }

    public ILogger Log { get; }

    /// <summary>The response timeout in ticks of <see cref="Time"/>.</summary>
    public long ResponseTimeoutTicks { get; }

    public IStateStore Store { get; }

    public GrainCatalog Catalog { get; }

    public EmbeddedGrainFactory Factory { get; }

    /// <summary>The host's filters, and the grain's own if it is one.</summary>
    public IReadOnlyList<IIncomingGrainCallFilter> FiltersOf(Activation activation) =>
        activation.GrainInstance is IIncomingGrainCallFilter own ? [.. _filters.Value, own] : _filters.Value;

    /// <summary>Fails a call that would need a new activation when there may be none.</summary>
    public bool Refuses(GrainCall call)
    {
        // A grain that is ending may still call another one, which then has to be activated once more.
        if (_stage == HostStage.Running || (_stage == HostStage.Stopping && call.SourceId is not null))
            return false;
        call.Fail(new SiloUnavailableException($"{call.Describe()} was refused: the grain host is stopping."));
        return true;
    }

    /// <summary>Fails the callers whose time is up.</summary>
    public void ExpireCalls()
    {
        var now = Time.GetTimestamp();
        var gates = Catalog.Activations.Select(a => a.Gate).Concat(Factory.Observers.Select(o => o.Gate));
        foreach (var work in gates.SelectMany(gate => gate.Expired(now)))
            work.Expire();
    }

    /// <summary>Ends activations that nobody has used for this long.</summary>
    /// <returns>Those it ended; they are still busy with that.</returns>
    public IReadOnlyList<Activation> DeactivateIdle(TimeSpan age)
    {
        Activation[] idle = [.. Catalog.Activations.Where(activation => activation.IsIdleFor(age))];
        foreach (var activation in idle)
            activation.Deactivate(new DeactivationReason(
                DeactivationReasonCode.ActivationIdle, $"Nobody called for {age}."));
        return idle;
    }

    /// <summary>Ends every activation, those too that their ending makes.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        _stage = HostStage.Stopping;
        while (Catalog.Activations.ToList() is { Count: > 0 } alive)
        {
            foreach (var activation in alive)
                activation.Deactivate(new DeactivationReason(
                    DeactivationReasonCode.ShuttingDown, "The grain host is stopping."), cancellationToken);
            await Task.WhenAll(alive.Select(activation => activation.Deactivated)).WaitAsync(cancellationToken);
        }

        _stage = HostStage.Stopped;
    }

    private enum HostStage
    {
        /// <summary>Calls activate grains.</summary>
        Running,

        /// <summary>Activations end; only calls from grains may still activate one.</summary>
        Stopping,

        /// <summary>Nothing is active and nothing will be.</summary>
        Stopped,
    }
}
