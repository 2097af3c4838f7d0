"""The demo's own page, in a browser that plays HLS itself."""

from typing import TYPE_CHECKING

from tests.players.programme import Programme

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_the_page_plays_the_programme_with_chapters_and_subtitles(browser: "Browser", programme: Programme) -> None:
    """It needs nothing but the edge; a chapter is a click away; every subtitle of the manifest can be chosen."""
    with browser.new_context() as context:
        page = context.new_page()
        asked, errors = list[str](), list[str]()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(programme.page)
        page.get_by_role("button", name="Ad break").click()
        page.wait_for_function("document.querySelector('video').textTracks.length === 2")
        video = page.locator("video")
        assert video.evaluate("it => [...it.textTracks].map(({ language }) => language)") == list(programme.cues)
        assert video.evaluate("it => it.duration") >= programme.duration
        video.evaluate("it => it.play()")
        page.wait_for_function("document.querySelector('video').currentTime > 7")  # the break is at 6
        assert page.get_by_role("status").inner_text() == ""
        assert [url for url in asked if not url.startswith((programme.page.partition("#")[0], "data:"))] == []
        assert errors == []


def test_the_page_says_why_it_does_not_play(browser: "Browser", programme: Programme) -> None:
    """Nobody sits before a black rectangle: no such episode, no HLS in this browser, a broken stream."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{programme.page}-that-never-was")
        page.get_by_text("There is no such episode here.").wait_for()

    with browser.new_context() as context:
        context.add_init_script("HTMLVideoElement.prototype.canPlayType = () => ''")
        page = context.new_page()
        page.goto(programme.page)
        page.get_by_text("This browser does not play HLS of itself.").wait_for()
        assert page.get_by_role("link", name=programme.manifests["dash"]).is_visible()

    with browser.new_context() as context:
        context.route("**/init.mp4", lambda route: route.abort())
        page = context.new_page()
        page.goto(programme.page)
        page.get_by_text("It does not play.").wait_for()
