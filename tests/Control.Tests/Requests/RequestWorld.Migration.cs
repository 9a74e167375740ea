using Krewe.Abstractions;
using Krewe.Control.Requests;

namespace Krewe.Control.Tests.Requests;

/// <summary>Targets of migrations, and the owner of the stream, which adopts a successor or refuses it for
/// good.</summary>
internal sealed partial class RequestWorld
{
    private readonly HashSet<int> _adopted = [];
    private readonly HashSet<int> _revoked = [];

    private void DoMigration(RequestEffect effect)
    {
        switch (effect)
        {
            case DispatchMigration migrate when !_quiet && Pick(8) == 0:
                _checker.Dispatched.Remove(migrate.Plan.Epoch);
                _underWay.Add(() => Happen(new PlanRefused(
                    _now, migrate.Plan, [migrate.Plan.Decode], ErrorCode.WorkerLost, "the link is gone")));
                break;
            case DispatchMigration migrate:
                Move(migrate);
                break;
            case RevokeMigration revoke when !_adopted.Contains(revoke.Plan.Epoch):
                _revoked.Add(revoke.Plan.Epoch);
                _underWay.Add(() => Happen(new MigrationRevoked(_now, revoke.Plan.Epoch)));
                break;
            case AbortMigration abort:
                _revoked.Add(abort.Plan.Epoch);
                Later(Report(RequestReportKind.Released, abort.Plan.Epoch, abort.Plan.Decode));
                break;
            default:
                break;
        }
    }

    private void Move(DispatchMigration migrate)
    {
        var (epoch, target) = (migrate.Plan.Epoch, migrate.Plan.Decode);
        Later(Report(RequestReportKind.MigrationStarted, epoch, target));
        if (!_quiet && Pick(3) == 0)
        {
            Later(Report(RequestReportKind.MigrationAborted, epoch, target));
            Later(Report(RequestReportKind.Released, epoch, target));
            return;
        }

        _underWay.Add(() =>
        {
            if (_revoked.Contains(epoch)) return;
            _adopted.Add(epoch);
            Later(Report(RequestReportKind.MigrationCommitted, epoch, target));
            Later(Report(RequestReportKind.Released, migrate.SourceEpoch, migrate.Source));
            Later(Report(RequestReportKind.Finished, epoch, target));
            Later(Report(RequestReportKind.Released, epoch, target));
        });
    }
}
