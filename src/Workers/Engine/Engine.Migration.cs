using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Control.Migration;
using SequenceKey = Krewe.Abstractions.SequenceKey;

namespace Krewe.Workers;

/// <summary>Live migration as the engine sees it: source side by MigrationMachine.</summary>
internal sealed partial class Engine
{
    /// <summary>Tokens of one message of the tail: with 20 log-probabilities each it stays well under a
    /// frame.</summary>
    private const int TailTokensMax = 128;

    /// <summary>A blocking copy takes as long as the context is long.</summary>
    private static readonly TimeSpan BlockingLimit = TimeSpan.FromSeconds(30);

    private readonly Dictionary<SequenceKey, OutgoingMigration> _outgoing = [];
    private long _migratedOut;

    private MigrationLimits MoveLimits => new(
        FreezeBlocks: _settings.BlockingMigration ? int.MaxValue / 2 : 0);

    private void Apply(EngineCommand.Migration command)
    {
        switch (command)
        {
            case EngineCommand.Migration.TargetArrived arrived: AttachTarget(arrived.Link, arrived.Hello); break;
            case EngineCommand.Migration.TargetSign sign: TakeTargetSign(sign); break;
            case EngineCommand.Migration.TargetCommitted committed:
                if (MovingOver(committed.Link, committed.Source) is { } moved)
                    Drive(moved, new MigrationSourceEvent.CommitArrived());
                break;
            case EngineCommand.Migration.TargetLost lost:
                if (MovingOver(lost.Link, lost.Source) is { } stayed)
                    Drive(stayed, new MigrationSourceEvent.Ended(lost.Code, lost.Reason));
                break;
            case EngineCommand.Migration.BlockSent ended:
                if (MovingOver(ended.Link, ended.Source) is { } sending)
                    Drive(sending, new MigrationSourceEvent.SendEnded());
                break;
            case EngineCommand.Migration.RoomAsked asked: GiveRoom(asked); break;
            case EngineCommand.Migration.Arrived arrived: EndMigration(arrived); break;
            case EngineCommand.Migration.Aborted aborted: EndMigration(aborted); break;
            default: throw new ArgumentOutOfRangeException(nameof(command), command, "A command without a handler.");
        }
    }

    private void AttachTarget(IMigrationLink link, MigrateHello hello)
    {
        var next = hello.Key.FromWire();
        var key = next with { Epoch = (int)hello.SourceEpoch };
        if (MoveRefusal(key, hello, out var sequence) is { } refusal)
        {
            link.SendAbort(refusal.Code, refusal.Reason);
            return;
        }

        var migration = new OutgoingMigration(
            sequence, link, next, MigrationSource.Begin(FullBlocks(sequence), UsedBlocks(sequence), MoveLimits))
        {
            KnownTokens = (int)hello.KnownTokens,
            LeaseLife = TimeSpan.FromMilliseconds(hello.LeaseMs),
        };
        _outgoing.Add(key, migration);
        RenewLease(migration);
        Drive(migration, new MigrationSourceEvent.TargetArrived((int)hello.PresentBlocks, (int)hello.RoomBlocks));
    }

    private (ErrorCode? Code, string Reason)? MoveRefusal(SequenceKey key, MigrateHello hello, out Sequence sequence)
    {
        if (!_sequences.TryGetValue(key, out sequence!) || sequence.Stage == SequenceStage.Ending)
            return (null, $"{key} is not here (any more).");
        if (_outgoing.ContainsKey(key)) return (ErrorCode.HandoffRefused, $"{key} is being moved already.");
        if (_outgoing.Count >= _settings.MigrationsMax)
            return (ErrorCode.Overloaded, $"{_outgoing.Count} sequences are leaving already.");
        if (!sequence.Grows || sequence.Pulls || sequence.Stage is not (SequenceStage.Running or SequenceStage.Waiting))
            return (ErrorCode.HandoffRefused, $"{key} is {sequence.Stage}: its KV is still on its way.");
        if (sequence.ScoresPrompt)
            return (ErrorCode.HandoffRefused, $"{key} still tells its prompt's log-probabilities.");
        return hello.KnownTokens >= sequence.PromptCount && hello.KnownTokens <= sequence.KnownTokens
            && hello.PresentBlocks <= hello.RoomBlocks && hello.RoomBlocks <= int.MaxValue / 2
            ? null
            : (ErrorCode.HandoffCorrupt,
                $"The target knows {hello.KnownTokens} tokens; {key} has {sequence.PromptCount} of prompt and "
                + $"{sequence.KnownTokens} in all.");
    }

    private void TakeTargetSign(EngineCommand.Migration.TargetSign sign)
    {
        if (MovingOver(sign.Link, sign.Source) is not { } migration) return;
        RenewLease(migration);
        if (sign.Room > 0) Drive(migration, new MigrationSourceEvent.Progressed(sign.Received, sign.Room));
    }

    private OutgoingMigration? MovingOver(IMigrationLink link, SequenceKey key) =>
        _outgoing.TryGetValue(key, out var migration) && migration.Link == link ? migration : null;

    /// <summary>After each step: what the leaving sequences have grown.</summary>
    private void OfferGrownBlocks()
    {
        if (_outgoing.Count == 0) return;
        foreach (var migration in _outgoing.Values.ToArray())
        {
            Drive(migration, new MigrationSourceEvent.Grown(
                FullBlocks(migration.Sequence), UsedBlocks(migration.Sequence)));
        }
    }

    /// <summary>
    /// The sequence ends here or loses its blocks: the target must not commit. To be called before either, and without
    /// effect on one that does not leave.
    /// </summary>
    private void CallBack(Sequence sequence, string reason)
    {
        if (_outgoing.TryGetValue(sequence.Key, out var migration))
            Drive(migration, new MigrationSourceEvent.Ended(null, reason));
    }

    private void Drive(OutgoingMigration migration, MigrationSourceEvent happened)
    {
        (migration.State, var effects) = MigrationMachine.Apply(migration.State, happened);
        foreach (var effect in effects) Perform(migration, effect);
        if (migration.State.Stage == MigrationStage.Aborted) _outgoing.Remove(migration.Sequence.Key);
    }

    private void Perform(OutgoingMigration migration, MigrationSourceEffect effect)
    {
        var (sequence, link) = (migration.Sequence, migration.Link);
        switch (effect)
        {
            case MigrationSourceEffect.SendBlock send: link.SendBlock(send.Index, sequence.Blocks[send.Index]); break;
            case MigrationSourceEffect.AskRoom ask: link.AskRoom(ask.Blocks); break;
            case MigrationSourceEffect.Freeze: Freeze(migration); break;
            case MigrationSourceEffect.SendTail: SendTail(migration); break;
            case MigrationSourceEffect.SendCommitted:
                _migratedOut++;
                sequence.Stage = SequenceStage.Ending;
                link.SendCommitted();
                break;
            case MigrationSourceEffect.SendAbort abort:
                LogStays(_logger, sequence.Key, abort.Reason);
                link.SendAbort(abort.Code, abort.Reason);
                break;
            case MigrationSourceEffect.Unfreeze: Unfreeze(sequence); break;
            case MigrationSourceEffect.Free:
                _outgoing.Remove(sequence.Key);
                Release(sequence);
                break;
            default: throw new ArgumentOutOfRangeException(nameof(effect), effect, "An effect without a deed.");
        }
    }

    private void Freeze(OutgoingMigration migration)
    {
        var sequence = migration.Sequence;
        _running.Remove(sequence);
        _waiting.Remove(sequence);
        sequence.Stage = SequenceStage.Frozen;
        migration.SentBeforeFreeze = migration.State.Next;

        // Frozen, it waits for the commit alone: much less patience than for a copy.
        migration.LeaseEnd = Now + (_settings.BlockingMigration
            ? BlockingLimit
            : Shorter(migration.LeaseLife, _settings.FreezeLimit));
    }

    private void Unfreeze(Sequence sequence)
    {
        if (sequence.Stage != SequenceStage.Frozen) return;
        if (sequence.Blocks.Count == 0)
        {
            sequence.Stage = SequenceStage.Waiting;
            _waiting.Add(sequence);
            return;
        }

        sequence.Stage = SequenceStage.Running;
        _running.Add(sequence);
    }

    private static void SendTail(OutgoingMigration migration)
    {
        var sequence = migration.Sequence;
        var parts = new List<MigrateTokens>();
        for (var from = migration.KnownTokens; from < sequence.KnownTokens; from += TailTokensMax)
        {
            var part = new MigrateTokens { FirstIndex = (uint)(from - sequence.PromptCount) };
            var until = Math.Min(from + TailTokensMax, sequence.KnownTokens);
            foreach (var token in sequence.Tokens[from..until]) part.Tokens.Add((uint)token);
            part.Logprobs.AddRange(sequence.LogprobsOf(from - sequence.PromptCount, until - from));
            parts.Add(part);
        }

        migration.Link.SendTail(parts, new MigrateTail
        {
            Blocks = (uint)migration.State.Blocks,
            ComputedTokens = (uint)sequence.ComputedTokens,
            KnownTokens = (uint)sequence.KnownTokens,
            FrozenBlocks = (uint)Math.Max(0, migration.State.Next - migration.SentBeforeFreeze),
        });
    }

    /// <summary>Watchdog of every wait for a target: it goes on here as if nothing had happened.</summary>
    private void ExpireMigrations()
    {
        if (_outgoing.Count == 0) return;
        foreach (var migration in _outgoing.Values.Where(migration => migration.LeaseEnd <= Now).ToArray())
        {
            Drive(migration, new MigrationSourceEvent.Ended(
                ErrorCode.HandoffTimeout, $"The target was silent while the source was {migration.State.Stage}."));
        }
    }

    // A renewal must not stretch the freeze: only a commit or its end may.
    private void RenewLease(OutgoingMigration migration)
    {
        if (migration.State.Stage != MigrationStage.Frozen) migration.LeaseEnd = Now + migration.LeaseLife;
    }

    private int FullBlocks(Sequence sequence) => sequence.ComputedTokens / _kv.BlockTokens;

    private int UsedBlocks(Sequence sequence) => _kv.BlocksFor(sequence.ComputedTokens);

    private static TimeSpan Shorter(TimeSpan a, TimeSpan b) => a < b ? a : b;

    [LoggerMessage(LogLevel.Debug, "{Key} stays here: {Reason}")]
    private static partial void LogStays(ILogger logger, SequenceKey key, string reason);
}
