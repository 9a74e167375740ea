namespace Krewe.Control.Migration;

/// <summary>When sequences move for balance. Freeness is in blocks a running sequence.</summary>
public sealed record MigrationPolicy
{
    /// <summary>A worker below it lets sequences go.</summary>
    public double OutBelow { get; init; } = 3;

    /// <summary>
    /// A worker above it takes sequences. Well above <see cref="OutBelow"/>, so that one move does not turn a taker
    /// into a giver.
    /// </summary>
    public double InAbove { get; init; } = 6;

    /// <summary>See <see cref="Freeness.Of"/>.</summary>
    public int HeadroomBlocks { get; init; }

    /// <summary>Migrations that one worker takes part in at once; they share its link and its attention.</summary>
    public int MigrationsPerWorkerMax { get; init; } = 2;

    /// <summary>
    /// A sequence that came by migration stays at least this long, except on a worker that drains: it does not bounce
    /// between two workers whose loads swing.
    /// </summary>
    public TimeSpan Cooldown { get; init; } = TimeSpan.FromSeconds(5);
}
