using System.Collections.Concurrent;
using Orleans;
using Orleans.Concurrency;
using Orleans.Placement;

namespace Krewe.EmbeddedOrleans.Tests;

/// <summary>Runs what a test passes in: arguments cross by reference, so a test can be read in one place.</summary>
public interface IScriptGrain : IGrainWithStringKey
{
    Task Run(Func<ScriptGrain, Task> script);

    Task<int> Compute(Func<ScriptGrain, Task<int>> script);

    ValueTask<int> ComputeValue(Func<ScriptGrain, ValueTask<int>> script);

    ValueTask RunValue(Func<ScriptGrain, ValueTask> script);

    Task RunCancellable(Func<ScriptGrain, CancellationToken, Task> script, CancellationToken cancellationToken);

    [AlwaysInterleave]
    Task RunInterleaved(Func<ScriptGrain, Task> script);

    [OneWay]
    Task RunOneWay(Func<ScriptGrain, Task> script);
}

public interface IPlainGrain : IScriptGrain;

public interface IReentrantGrain : IScriptGrain;

public interface ICrewGrain : IScriptGrain;

/// <summary>What hooks do, by grain key; set before the first call.</summary>
public sealed class Hooks
{
    public ConcurrentDictionary<string, Func<ScriptGrain, CancellationToken, Task>> OnActivate { get; } = new();

    public ConcurrentDictionary<string, Func<ScriptGrain, DeactivationReason, Task>> OnDeactivate { get; } = new();

    public ConcurrentQueue<string> Log { get; } = new();
}

public abstract class ScriptGrain(Hooks hooks) : Grain, IScriptGrain
{
    private static int _lastInstance;

    public int Instance { get; } = Interlocked.Increment(ref _lastInstance);

    public TurnChecker Turns { get; } = new();

    public List<string> Trace { get; } = [];

    public IGrainFactory Grains => GrainFactory;

    public string Key => this.GetPrimaryKeyString();

    public void EndSoon() => DeactivateOnIdle();

    public void Delay(TimeSpan time) => DelayDeactivation(time);

    public override Task OnActivateAsync(CancellationToken cancellationToken) =>
        hooks.OnActivate.TryGetValue(Key, out var hook) ? hook(this, cancellationToken) : Task.CompletedTask;

    public override Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken) =>
        hooks.OnDeactivate.TryGetValue(Key, out var hook) ? hook(this, reason) : Task.CompletedTask;

    public Task Run(Func<ScriptGrain, Task> script) => script(this);

    public Task<int> Compute(Func<ScriptGrain, Task<int>> script) => script(this);

    public ValueTask<int> ComputeValue(Func<ScriptGrain, ValueTask<int>> script) => script(this);

    public ValueTask RunValue(Func<ScriptGrain, ValueTask> script) => script(this);

    public Task RunCancellable(
        Func<ScriptGrain, CancellationToken, Task> script, CancellationToken cancellationToken) =>
        script(this, cancellationToken);

    public Task RunInterleaved(Func<ScriptGrain, Task> script) => script(this);

    public Task RunOneWay(Func<ScriptGrain, Task> script) => script(this);
}

[PreferLocalPlacement]
public sealed class PlainGrain(Hooks hooks) : ScriptGrain(hooks), IPlainGrain;

[Reentrant, RandomPlacement, Immovable]
public sealed class ReentrantGrain(Hooks hooks) : ScriptGrain(hooks), IReentrantGrain;

[StatelessWorker(2)]
public sealed class CrewGrain(Hooks hooks) : ScriptGrain(hooks), ICrewGrain;
