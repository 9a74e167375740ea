using System.Collections.Immutable;

namespace Krewe.EmbeddedOrleans;

/// <summary>Activation or deactivation: holds the gate while its hooks run.</summary>
internal sealed class LifecycleWork : Work
{
    private readonly Activation _activation;
    private readonly string _hook;
    private readonly Func<Task> _run;

    /// <param name="trigger">The call that waits for this activation, so that cycles through hooks are seen.</param>
    public LifecycleWork(Activation activation, string hook, Func<Task> run, Work? trigger)
        : base(trigger, ImmutableDictionary<string, object>.Empty)
    {
        _activation = activation;
        _hook = hook;
        _run = run;
        Gate = activation.Gate;
        Gate.Holder = this;
    }

    public override string Describe() => $"{_activation.GrainId}.{_hook}";

    public override void Fail(Exception error) =>
        throw new InvalidOperationException($"{Describe()} never waits, so it cannot fail before it starts.", error);

    protected override Task ExecuteAsync() => _run();

    protected override void Leave()
    {
        // The hook itself says when the gate opens or retires.
    }

    protected override void Publish()
    {
        // Nobody waits for a hook; its effects are the gate's state and Activation.Deactivated.
    }
}
