using System.Collections.Concurrent;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace Krewe.EndToEnd.Tests.Dashboard;

/// <summary>The dashboard in one window of the browser. Whatever the browser complains of fails the test.</summary>
internal sealed class DashboardPage : IAsyncDisposable
{
    private readonly IBrowserContext _context;
    private readonly string _name;
    private readonly ConcurrentQueue<string> _complaints = [];

    private DashboardPage(IBrowserContext context, IPage page, string name)
    {
        (_context, Page, _name) = (context, page, name);
        page.PageError += (_, error) => _complaints.Enqueue(error);
        page.Console += (_, message) =>
        {
            if (message.Type == "error") _complaints.Enqueue(message.Text);
        };
    }

    public IPage Page { get; }

    /// <param name="browser">Where.</param>
    /// <param name="cluster">The silo's address.</param>
    /// <param name="dark">The system's colours.</param>
    /// <param name="key">Kept by the tab already; null = it must be asked for.</param>
    public static async Task<DashboardPage> OpenAsync(IBrowser browser, Uri cluster, bool dark, string? key)
    {
        var context = await browser.NewContextAsync(new BrowserNewContextOptions
        {
            ViewportSize = new ViewportSize { Width = 1280, Height = 900 },
            ColorScheme = dark ? ColorScheme.Dark : ColorScheme.Light,
        });
        context.SetDefaultTimeout(120_000);
        if (key is not null) await context.AddInitScriptAsync($"sessionStorage.setItem('krewe-key', '{key}')");
        var page = await context.NewPageAsync();
        var dashboard = new DashboardPage(context, page, dark ? "dark" : "light");
        await page.GotoAsync(new Uri(cluster, "/dashboard").ToString());
        return dashboard;
    }

    public ILocator Row(string key) => Page.Locator($"tr[data-key='{key}']");

    public ILocator Button(string name, string worker) => Page.Locator($"[data-focus='{name}-{worker}']");

    public ILocator Dialog => Page.Locator("#dialog");

    /// <summary>As wide as a screen, or as a phone.</summary>
    public Task ResizeAsync(int width) => Page.SetViewportSizeAsync(width, width < 700 ? 844 : 900);

    /// <summary>Goes there by the page's own links and waits for what it must show.</summary>
    public async Task GoAsync(string page, string mustShow)
    {
        await Page.Locator($"nav a[data-page='{page}']").ClickAsync();
        await Expect(Page.Locator(mustShow).First).ToBeVisibleAsync();
        await CheckAsync(page);
    }

    /// <summary>Nothing sticks out of the window; a picture is kept for people to look at.</summary>
    public async Task CheckAsync(string page)
    {
        var excess = await Page.EvaluateAsync<int>("document.documentElement.scrollWidth - window.innerWidth");
        var name = $"{page}-{Page.ViewportSize!.Width}-{_name}";
        Assert.True(excess <= 0, $"{name}: {excess} px wider than the window");
        await Page.ScreenshotAsync(new PageScreenshotOptions
        {
            Path = Path.Combine(AppContext.BaseDirectory, "screenshots", $"{name}.png"),
        });
    }

    /// <summary>Confirms the open question and waits until it was carried out.</summary>
    /// <param name="button">What the button that confirms says.</param>
    /// <param name="title">What the question is called.</param>
    public async Task ConfirmAsync(string button, string title)
    {
        await Dialog.GetByRole(AriaRole.Button, new LocatorGetByRoleOptions { Name = button, Exact = true })
            .ClickAsync();
        await Expect(Page.Locator("#toast")).ToContainTextAsync($"Done: {title}");
    }

    /// <summary>Of what came so far.</summary>
    public void ForgetComplaints() => _complaints.Clear();

    public void DemandNoComplaint() => Assert.Empty(_complaints);

    public ValueTask DisposeAsync() => _context.DisposeAsync();
}
