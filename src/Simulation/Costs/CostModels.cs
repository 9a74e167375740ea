namespace Krewe.Simulation;

/// <summary>The best cost model there is for a deployment.</summary>
public static class CostModels
{
    /// <summary>Measured tables where the GPU has them, else the roofline.</summary>
    public static IStepCost For(Deployment deployment)
    {
        deployment.Check();
        return MeasuredCost.TryCreate(deployment) is { } measured ? measured : new RooflineCost(deployment);
    }
}
