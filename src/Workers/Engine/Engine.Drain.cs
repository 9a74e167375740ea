using Krewe.Abstractions;

namespace Krewe.Workers;

/// <summary>
/// Being stopped: takes nothing new; what runs finishes, migrates, or is cut when the grace is over. And changing
/// roles.
/// </summary>
internal sealed partial class Engine
{
    private readonly TaskCompletionSource _drainBegun = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>On the engine's clock; ticks, so that any thread may read it.</summary>
    private long _drainEndTicks;

    private WorkerRole _role;

    /// <summary>Completes when somebody, a silo or the operating system, asked for the drain.</summary>
    public Task DrainBegun => _drainBegun.Task;

    /// <summary>What is left of the grace; not positive when it is over. Any thread.</summary>
    public TimeSpan DrainLeft => TimeSpan.FromTicks(Interlocked.Read(ref _drainEndTicks)) - Now;

    /// <summary>Told, on the engine thread, of a role that a silo asked for. Must not block.</summary>
    public Action<WorkerRole>? RoleChanged { get; set; }

    // Told twice, the shorter grace counts: a second signal means hurry, and no silo may prolong what the host gave.
    private void BeginDrain(TimeSpan grace)
    {
        var end = (Now + grace).Ticks;
        if (!_draining || end < _drainEndTicks) Interlocked.Exchange(ref _drainEndTicks, end);
        _draining = true;
        _drainBegun.TrySetResult();
    }

    private void SetRole(WorkerRole role)
    {
        if (_role == role) return;
        _role = role;
        RoleChanged?.Invoke(role);
    }
}
