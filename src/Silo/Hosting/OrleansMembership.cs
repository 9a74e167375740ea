using Orleans.Configuration;

namespace Krewe.Silo.Hosting;

/// <summary>How fast a silo that is gone is noticed, and how sure the others must be.</summary>
internal static class OrleansMembership
{
    /// <summary>
    /// A killed silo refuses connections at once: three refused probes, half a second apart, are 1.0 to 1.5 s. A silo
    /// that hangs, or does not get to run, is given up after three unanswered ones, so a pause of a second (collection,
    /// busy machine) kills nobody. And where three or more live, two of them must agree: one silo's bad network cannot
    /// declare another dead. A silo that notices that it is itself slow waits longer for the others.
    /// </summary>
    public static void Tune(ClusterMembershipOptions membership)
    {
        membership.ProbeTimeout = TimeSpan.FromMilliseconds(500);
        membership.MinProbeTimeout = TimeSpan.FromMilliseconds(500);
        membership.MaxProbeTimeout = TimeSpan.FromSeconds(1);
        membership.NumMissedProbesLimit = 3;
        membership.NumVotesForDeathDeclaration = 2;
        membership.EnableIndirectProbes = true;
        membership.ExtendProbeTimeoutDuringDegradation = true;

        // Longer than two silos need to vote one after the other.
        membership.DeathVoteExpirationTimeout = TimeSpan.FromSeconds(10);

        // A silo that does not hear the gossip of a death reads it from the table.
        membership.TableRefreshTimeout = TimeSpan.FromSeconds(2);
        membership.IAmAliveTablePublishTimeout = TimeSpan.FromSeconds(5);

        // Rows of silos that are gone; a deployment of three makes three of them with every upgrade.
        membership.DefunctSiloExpiration = TimeSpan.FromHours(1);
        membership.DefunctSiloCleanupPeriod = TimeSpan.FromMinutes(10);
    }
}
